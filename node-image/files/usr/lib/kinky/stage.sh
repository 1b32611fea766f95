# Sourced by the guest scripts: short lines on the console tell how far the node is. Nothing secret goes through here.
stage() {
    read -r kinky_uptime _ < /proc/uptime
    echo "kinky: stage $1 $kinky_uptime" > /dev/console
}

fail() {
    echo "kinky: FAILED stage $1: $2" > /dev/console
    exit 1
}

# A guest stands on one of three grounds. Their differences are in ground-*, under the same names in each.
# The folder comes first: a container sees the firmware of the machine that it runs on.
if [ -d /run/kinky-container ]; then
    ground=container
elif [ "$(cat /sys/class/dmi/id/chassis_asset_tag 2> /dev/null)" = emulated ]; then
    ground=emulation
else
    ground=kvm
fi
. "/usr/lib/kinky/ground-$ground"
