package config

import (
	"errors"
	"strings"

	"edgeshadow/adapters"
	"edgeshadow/bridge"
	"edgeshadow/bridge/relay"
	"edgeshadow/bridge/upstream"
	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/broker"
	"edgeshadow/localshadow/registry"
)

// FieldError is what is wrong with one value, whatever file it came from.
type FieldError struct {
	Path string // of keys, from the top: broker.listeners[0].address
	Text string
}

func (e FieldError) Error() string { return e.Path + ": " + e.Text }

// Validate asks each package about its section and returns all that is wrong.
func (c *Config) Validate() []FieldError {
	var errs []FieldError
	add := func(section string, found ...error) {
		for _, err := range found {
			errs = append(errs, located(section, err))
		}
	}
	add("", c.Gateway.validate()...)
	add("store", split(c.Store.Validate())...)
	add("broker", c.Broker.Validate()...)
	add("access", c.Access.Validate()...)
	add("registry", c.Registry.Validate()...)
	if c.Cloud != nil {
		add("cloud", c.Cloud.validate()...)
	}
	add("sync", c.Sync.Validate()...)
	add("relay", c.Relay.Validate(c.Journal)...)
	add("journal", c.Journal.Validate()...)
	if c.Cloud == nil && len(c.Relay) > 0 {
		add("", FieldError{"relay", "there is no section cloud to relay to and from"})
	}
	field := c.Things.Field()
	add("", field.Validate()...)
	add("", c.Buses.Validate(field)...)
	add("", c.validateSections()...)
	add("", validateRegistry(c.Things)...)
	return errs
}

// located is err with its path from the top.
func located(section string, err error) FieldError {
	switch e := err.(type) {
	case FieldError:
		return e
	case adapters.FieldError:
		return FieldError{e.Path, e.Text}
	case *upstream.FieldError:
		return FieldError{join(section, e.Path), e.Text}
	case *bridge.FieldError:
		return FieldError{join(section, e.Path), e.Text}
	case *relay.FieldError:
		return FieldError{join(section, e.Path), e.Text}
	case *broker.FieldError:
		return FieldError{join(section, e.Path), e.Text}
	case *access.FieldError:
		return FieldError{join(section, e.Path), e.Text}
	case *registry.FieldError:
		return FieldError{join(section, e.Path), e.Text}
	}
	key, text, _ := strings.Cut(err.Error(), ": ")
	return FieldError{join(section, key), text}
}

// split takes joined errors apart.
func split(err error) []error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	return nil
}
