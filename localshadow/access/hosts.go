package access

import (
	"net"
	"os"
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
// names of the LAN are often known to nobody.
func LANHost() string {
	all := Hosts()
	for _, h := range all {
		if ip := net.ParseIP(h); ip != nil && ip.To4() != nil && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			return h
		}
	}
	return all[0]
}
