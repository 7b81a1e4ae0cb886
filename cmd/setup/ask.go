package setup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"edgeshadow/adapters/port"
	"edgeshadow/config"
)

// Asker asks for what the answers leave open.
type Asker struct {
	In  *bufio.Reader
	Out io.Writer
	// Ports lists the serial ports of the machine.
	Ports func() ([]port.Info, error)
}

// Ask asks, with what is configured as the answer to an empty line. End of file
// is an empty line.
func (q *Asker) Ask(main string, a Answers) (Answers, error) {
	known := map[string]config.Setting{}
	if k, err := Known(main); err == nil { // a file that is not there yet says nothing
		known = k
	}
	var err error
	if a.Thing == "" {
		if a.Thing, err = q.line("Name of this gateway, as a thing", known["gateway.thing"].Value); err != nil {
			return a, err
		}
	}
	if a.Endpoint == "" {
		if a.Endpoint, err = q.line("Endpoint of the cloud, xxxxxxxx-ats.iot.REGION.amazonaws.com; none: -", known["cloud.endpoint"].Value); err != nil {
			return a, err
		}
		if a.Endpoint == "-" {
			a.Endpoint = ""
		}
	}
	return q.buses(known, a)
}

// buses offers each serial port that no bus has.
func (q *Asker) buses(known map[string]config.Setting, a Answers) (Answers, error) {
	ports, err := q.Ports()
	if err != nil {
		fmt.Fprintf(q.Out, "No serial ports: %v\n", err)
		return a, nil
	}
	used := map[string]bool{}
	for path, set := range known {
		if strings.HasSuffix(path, ".port") {
			used[set.Value] = true
		}
	}
	for _, where := range a.Buses {
		name, _, _ := strings.Cut(where, ",")
		used[name] = true
	}
	a.Buses = maps.Clone(a.Buses)
	for _, p := range ports {
		if slices.ContainsFunc([]string{p.Path, p.ByID, p.ByPath, p.USB}, func(n string) bool { return used[n] }) {
			continue
		}
		name := p.Stable()
		if name == "" {
			name = p.Path
		}
		fmt.Fprintf(q.Out, "Serial port %s %s %s\n", name, p.Manufacturer, p.Product)
		line, err := q.line("  Modbus RTU on it? Its line, such as 9600-8N1; none: -", "-")
		if err != nil {
			return a, err
		}
		if line == "-" {
			continue
		}
		bus, err := q.line("  Name of the bus", fmt.Sprintf("rs485-%d", len(a.Buses)+1))
		if err != nil {
			return a, err
		}
		if a.Buses == nil {
			a.Buses = map[string]string{}
		}
		a.Buses[bus] = name + "," + line
	}
	return a, nil
}

// line asks for a line.
func (q *Asker) line(question, otherwise string) (string, error) {
	fmt.Fprintf(q.Out, "%s [%s]: ", question, otherwise)
	text, err := q.In.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if text = strings.TrimSpace(text); text == "" {
		text = otherwise
	}
	return text, nil
}
