# Sourced by role-control-plane. A member of etcd that has lost its disk cannot form the cluster again: the others know it, and refuse it. When an
# admin has removed and added it there, they list it without a name, and it must join them (docs/troubleshooting.md).

# Tell whether one of the other members (addresses) waits for the one at this address; $pki holds etcd's CA.
is_awaited() {
    own=$1
    shift
    ask=$(mktemp -d /run/kinky-etcd.XXXXXX)
    openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -CA "$pki/etcd/ca.crt" \
        -CAkey "$pki/etcd/ca.key" -subj /CN=kinky-member -addext extendedKeyUsage=clientAuth \
        -addext basicConstraints=critical,CA:FALSE -keyout "$ask/key" -out "$ask/crt" 2> /dev/null
    awaited=1
    for other; do
        # If no port is open yet, all members are new. etcd speaks HTTP/2 only with members.
        listed=$(curl -s --http1.1 --max-time 5 --cacert "$pki/etcd/ca.crt" --cert "$ask/crt" --key "$ask/key" "https://$other:2380/members") || continue
        found=$(echo "$listed" | jq --arg url "https://$own:2380" 'any(.[]; .peerURLs == [$url] and (.name // "") == "")')
        [ "$found" != true ] || awaited=0
    done
    rm -r "$ask"
    return $awaited
}
