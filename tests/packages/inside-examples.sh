# Sourced by inside.sh where the tools are (make check-packages): each example of /usr/share/doc/sallyport/examples is taken
# by the program that it is for, and does what it says.
e=/usr/share/doc/sallyport/examples
check "firewall: nft takes it" nft -c -f $e/nftables.conf
check "firewall: it loads, and again" bash -c "nft -f $e/nftables.conf && nft -f $e/nftables.conf"
ip link add outside type veth && ip addr add 192.0.2.1/24 dev outside && ip link set outside up && ip link set veth0 up
connects() { timeout 2 setpriv --reuid "sallyport-$1" --regid "sallyport-$1" --clear-groups bash -c ': >/dev/tcp/192.0.2.2/443' 2>/root/connect; [ $? = 124 ]; }
refused() { ! connects "$1" && grep -q refused /root/connect; }
check "firewall: the courier may go out" connects courier
for p in vault hsm ledger desk gate; do check "firewall: $p may not" refused $p; done
check "firewall: the API is reached as before" sallyport demo
nft flush ruleset
ip link del outside
check "clock: chronyd takes it" bash -c "chronyd -p -f $e/chrony.conf | grep -q '^rtcsync'"
mkdir -p /etc/systemd/journald.conf.d
cp $e/journald.conf /etc/systemd/journald.conf.d/sallyport.conf
check "journal: journald takes it" bash -c 'systemctl restart systemd-journald && sleep 1 && ! journalctl -b -u systemd-journald -o cat --no-pager | grep -iE "unknown|failed to parse|invalid"'
check "journal: … and keeps it over a restart of the host" bash -c 'journalctl --flush && ls /var/log/journal/*/system.journal'
names_checks() { local c; for c in core_pattern ptrace_scope protected_symlinks protected_hardlinks address_space; do sallyport --json doctor | grep -q "host\.$c" && grep -q "host\.$c" $e/sysctl.conf || { echo "host.$c"; return 1; }; done; }
check "kernel: the example names the checks of doctor that a sysctl mends" names_checks
key_is_there() { local k; for k in $(sed -n 's/^\([a-z][a-z_.]*\) = .*/\1/p' $e/sysctl.conf); do [ -e "/proc/sys/${k//.//}" ] || { echo "no such key: $k"; return 1; }; done; }
check "kernel: the kernel has its keys" key_is_there
printf 'database_in=file:/root/aide.db\ndatabase_out=file:/root/aide.db\n@@include %s/aide.conf\n' $e >/root/aide.conf
check "watched files: aide takes the list" aide --config-check --config=/root/aide.conf
check "watched files: … makes its database" aide --init --config=/root/aide.conf
check "watched files: … finds nothing after payments" bash -c 'sallyport demo >/dev/null && aide --check --config=/root/aide.conf'
echo '# a change' >>/etc/sallyport/sallyport.conf
chmod 0755 /var/lib/sallyport/vault
touch /usr/libexec/sallyport/planted
check "watched files: … finds a changed file, a changed right and a planted program" bash -c 'aide --check --config=/root/aide.conf >/root/aide.said; grep -q /etc/sallyport/sallyport.conf /root/aide.said && grep -q "/var/lib/sallyport/vault" /root/aide.said && grep -q /usr/libexec/sallyport/planted /root/aide.said'
sed -i '$d' /etc/sallyport/sallyport.conf
chmod 0700 /var/lib/sallyport/vault
rm /usr/libexec/sallyport/planted
