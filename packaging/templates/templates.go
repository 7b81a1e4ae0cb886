// Package templates holds the device templates that come with edgeshadow, as
// they are installed to /usr/share/edgeshadow/templates. A template is what a
// thing says of its device, with a title and the document that its registers
// are from; who needs another puts it into templates beside the configuration.
package templates

import (
	"embed"
	"strings"
)

//go:embed *.yaml
var files embed.FS

// Read is the text of a template.
func Read(name string) ([]byte, error) { return files.ReadFile(name + ".yaml") }

// Names are those of all templates, sorted.
func Names() []string {
	entries, _ := files.ReadDir(".") // it was embedded
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}
