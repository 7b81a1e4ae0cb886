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
	// Units asks all units of a bus, PORT,LINE or HOST, for a sign of life.
	Units func(where string) ([]string, error)
	// Sensors listens for Bluetooth devices that are near.
	Sensors func() ([]Sensor, error)
}

// Sensor is a Bluetooth device that was heard.
type Sensor struct{ MAC, Says string }

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
	if a, err = q.buses(known, a); err != nil {
		return a, err
	}
	return q.sensors(known, a)
}

// yes asks a question whose answer is no unless it is yes.
func (q *Asker) yes(question string) (bool, error) {
	text, err := q.line(question+" yes or no", "no")
	return strings.HasPrefix(strings.ToLower(text), "y"), err
}

// sensors offers each Bluetooth device that is heard and no thing yet.
func (q *Asker) sensors(known map[string]config.Setting, a Answers) (Answers, error) {
	look, err := q.yes("Listen for Bluetooth sensors?")
	if err != nil || !look {
		return a, err
	}
	heard, err := q.Sensors()
	if err != nil {
		fmt.Fprintf(q.Out, "No Bluetooth: %v\n", err)
		return a, nil
	}
	used := map[string]bool{}
	for path, set := range known {
		if strings.HasSuffix(path, ".ble.mac") {
			used[strings.ToUpper(set.Value)] = true
		}
	}
	a.Sensors = maps.Clone(a.Sensors)
	for _, s := range heard {
		if used[strings.ToUpper(s.MAC)] {
			continue
		}
		name, err := q.line(fmt.Sprintf("Sensor %s says %s. Its name, as a thing; none: -", s.MAC, s.Says), "-")
		if err != nil {
			return a, err
		}
		if name == "-" {
			continue
		}
		if a.Sensors == nil {
			a.Sensors = map[string]string{}
		}
		a.Sensors[name] = s.MAC
	}
	return a, nil
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
		look, err := q.yes("  Ask all units on it for a sign of life? It takes a minute;")
		if err != nil {
			return a, err
		}
		if look {
			if a, err = q.scan(a, bus); err != nil {
				fmt.Fprintf(q.Out, "  %v\n", err)
			}
		}
	}
	return a, nil
}

// scan notes the units of a bus.
func (q *Asker) scan(a Answers, bus string) (Answers, error) {
	units, err := q.Units(a.Buses[bus])
	if err != nil {
		return a, err
	}
	a.Units = maps.Clone(a.Units)
	if a.Units == nil {
		a.Units = map[string][]string{}
	}
	a.Units[bus] = units
	fmt.Fprintf(q.Out, "  %d units answer\n", len(units))
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
