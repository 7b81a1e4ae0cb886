package access

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Hosts are the names and addresses under which devices may reach this
// machine, in a stable order; the first is its best name.
func Hosts() []string {
	names := []string{}
	if host, err := os.Hostname(); err == nil && host != "" && host != "localhost" {
		short, _, _ := strings.Cut(host, ".")
		names = append(names, host, short+".local")
	}
	names = append(names, "localhost")
	addresses := []string{"127.0.0.1", "::1"}
	if all, err := net.InterfaceAddrs(); err == nil {
		for _, a := range all {
			if n, ok := a.(*net.IPNet); ok {
				addresses = append(addresses, n.IP.String())
			}
		}
	}
	slices.Sort(addresses)
	return append(names, slices.Compact(addresses)...)
}

// LANHost is one of Hosts for a command that a device runs: an address, because
// names of the LAN are often known to nobody. That of a network card comes before
// those of bridges and tunnels, which no device can reach.
func LANHost() string {
	if all, err := net.Interfaces(); err == nil {
		for _, i := range all {
			if _, err := os.Stat(filepath.Join("/sys/class/net", i.Name, "device")); err != nil || i.Flags&net.FlagUp == 0 {
				continue
			}
			addresses, _ := i.Addrs() // one that is gone by now has none
			for _, a := range addresses {
				if n, ok := a.(*net.IPNet); ok && reachable(n.IP) {
					return n.IP.String()
				}
			}
		}
	}
	all := Hosts()
	for _, h := range all {
		if reachable(net.ParseIP(h)) {
			return h
		}
	}
	return all[0]
}

// reachable tells of an IPv4 address whether devices may know the way to it.
func reachable(ip net.IP) bool {
	return ip.To4() != nil && !ip.IsLoopback() && !ip.IsLinkLocalUnicast()
}
