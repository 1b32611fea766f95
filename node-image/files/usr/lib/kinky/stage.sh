# Sourced by the guest scripts: short lines on the console tell how far the node is. Nothing secret goes through here.
stage() {
    read -r kinky_uptime _ < /proc/uptime
    echo "kinky: stage $1 $kinky_uptime" > /dev/console
}

fail() {
    echo "kinky: FAILED stage $1: $2" > /dev/console
    exit 1
}

# Device of the disk with a serial. From sysfs, because by-id links appear only after udev's cold plug.
disk() {
    for kinky_serial in /sys/block/vd*/serial; do
        [ "$(cat "$kinky_serial")" = "$1" ] || continue
        kinky_block=${kinky_serial%/serial}
        echo "/dev/${kinky_block##*/}"
        return 0
    done
    return 1
}
