package doctor

import (
	"context"
	"fmt"
	"time"

	"edgeshadow/cmd/console"
	"edgeshadow/config"
)

// Result is how a check ended.
type Result string

const (
	OK   Result = "ok"
	Warn Result = "warn" // it works, but not as it should
	Fail Result = "fail"
	Skip Result = "skip" // it can't be tried without doing harm
)

// Check is one step.
type Check struct {
	Name   string `json:"name"`
	Result Result `json:"result"`
	Text   string `json:"text"`
	Hint   string `json:"hint,omitempty"` // the cure
}

// Report is all that was found.
type Report struct {
	Checks []Check `json:"checks"`
	// Policy is the least that AWS IoT must allow; nil without a cloud section.
	Policy *Policy `json:"policy,omitempty"`
}

// Failed says whether any check failed.
func (r Report) Failed() bool {
	for _, c := range r.Checks {
		if c.Result == Fail {
			return true
		}
	}
	return false
}

// Doctor examines. The zero value of a field that says so is of use.
type Doctor struct {
	Path      string          // of the configuration
	Daemon    *console.Client // asked how it is
	Interrupt bool            // try permissions though the daemon is connected, which that interrupts
	User      string          // that the daemon runs as; empty: this process's
	Told      func(Check)     // hears each check as it ends; nil: nobody does

	report Report
	cfg    *config.Config
	status *console.Status // nil: no daemon
}

// Examine runs every check that makes sense.
func (d *Doctor) Examine(ctx context.Context) Report {
	cfg, err := config.Load(d.Path)
	if err != nil {
		d.say("configuration", Fail, err.Error(), "edgeshadow check -c "+d.Path)
	} else {
		d.cfg = cfg
		d.say("configuration", OK, fmt.Sprintf("%s: %d listeners, %d buses, %d things", d.Path, len(cfg.Broker.Listeners), len(cfg.Buses), len(cfg.Things)), "")
	}
	d.daemon(ctx)
	d.clock(time.Now())
	if d.cfg == nil {
		return d.report
	}
	d.disk()
	d.ports()
	d.bluetooth(ctx)
	if d.cfg.Cloud != nil {
		d.report.Policy = d.policy()
		d.cloud(ctx)
	}
	return d.report
}

func (d *Doctor) say(name string, result Result, text, hint string) {
	c := Check{name, result, text, hint}
	d.report.Checks = append(d.report.Checks, c)
	if d.Told != nil {
		d.Told(c)
	}
}

// daemon asks the running daemon how it is.
func (d *Doctor) daemon(ctx context.Context) {
	if d.Daemon == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := d.Daemon.Status(ctx)
	if err != nil {
		d.say("daemon", Warn, err.Error(), "is it meant to run? systemctl status edgeshadow; journalctl -u edgeshadow")
		return
	}
	d.status = &s
	d.say("daemon", OK, fmt.Sprintf("%s, up %s, boot %d", s.Thing, s.Uptime, s.Boot), "")
	if s.Store.Error != "" {
		d.say("store", Fail, s.Store.Error, "look at the disk (dmesg), then systemctl restart edgeshadow")
	}
	if s.Store.Unmerged != "" {
		d.say("store", Warn, "it grows: its tables can't be merged ("+s.Store.Unmerged+")", "free as much space as the store takes")
	}
	if s.Store.Quarantined != "" {
		d.say("store", Warn, fmt.Sprintf("was damaged (%s) and is set aside as %s", s.Store.Reason, s.Store.Quarantined),
			"what the cloud and the configuration know comes back by itself; remove the folder when nothing is missed")
	}
	for _, b := range s.Buses {
		if b.Err != "" {
			hint := "" // the port, or the host, is looked at too
			if b.Connected {
				hint = "edgeshadow status tells which units answer"
			}
			d.say("bus "+b.Bus, Warn, b.Err, hint)
		}
	}
}
