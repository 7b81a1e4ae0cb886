package relay_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/bridge/relay"
)

func TestConfig_Validate(t *testing.T) {
	two, minus := 2, -1
	for name, row := range map[string]struct {
		rule relay.Rule
		want string
	}{
		"Good":            {relay.Rule{From: "local:line/+/data", To: "cloud:site1/{1}/data"}, ""},
		"GoodRest":        {relay.Rule{From: "local:a/+/#", To: "cloud:b/{1}/{#}"}, ""},
		"GoodInLevel":     {relay.Rule{From: "local:a/+/+", To: "cloud:b/x-{2}-{1}"}, ""},
		"GoodDown":        {relay.Rule{From: "cloud:a/+", To: "local:b/{1}/1/2/3/4/5/6/7/8", Retain: relay.Set}, ""},
		"GoodIngest":      {relay.Rule{From: "local:a/#", To: "cloud:$aws/rules/lake/1/2/3/4/5/6/7/{#}"}, ""},
		"GoodClass":       {relay.Rule{From: "local:a", To: "cloud:b", Class: "event", Retain: relay.Keep, Envelope: true}, ""},
		"NoFrom":          {relay.Rule{To: "cloud:b"}, "x.from: want local: or cloud:"},
		"NoSide":          {relay.Rule{From: "line/+", To: "cloud:b"}, "x.from: want local: or cloud:"},
		"NoTo":            {relay.Rule{From: "local:a"}, "x.to: want local: or cloud:"},
		"SameSide":        {relay.Rule{From: "local:a", To: "local:b"}, "x.to: a rule goes from one side to the other"},
		"EmptyFilter":     {relay.Rule{From: "local:", To: "cloud:b"}, "x.from: no topic"},
		"EmptyTopic":      {relay.Rule{From: "local:a", To: "cloud:"}, "x.to: no topic"},
		"Reserved":        {relay.Rule{From: "cloud:$aws/things/+/shadow/#", To: "local:b"}, "x.from: \"$aws/things/+/shadow/#\" is reserved"},
		"ReservedTo":      {relay.Rule{From: "local:a", To: "cloud:$aws/things/t/shadow/update"}, "x.to: \"$aws/things/t/shadow/update\" is reserved"},
		"ReservedLocal":   {relay.Rule{From: "cloud:a", To: "local:$aws/rules/r/x"}, "x.to: \"$aws/rules/r/x\" is reserved"},
		"IngestNoRule":    {relay.Rule{From: "local:a", To: "cloud:$aws/rules/"}, "x.to: a Basic Ingest topic is"},
		"IngestRetain":    {relay.Rule{From: "local:a", To: "cloud:$aws/rules/r/x", Retain: relay.Keep}, "x.retain: a Basic Ingest topic retains nothing"},
		"Wildcard":        {relay.Rule{From: "local:a+/b", To: "cloud:b"}, "x.from: a wildcard stands alone"},
		"RestNotLast":     {relay.Rule{From: "local:#/b", To: "cloud:b"}, "x.from: # is the last level"},
		"BraceInFilter":   {relay.Rule{From: "local:{1}", To: "cloud:b"}, "x.from: \"{1}\" has a character"},
		"WildcardTo":      {relay.Rule{From: "local:a/+", To: "cloud:b/+"}, "x.to: \"b/+\" is no topic"},
		"NoSuchCapture":   {relay.Rule{From: "local:a/+", To: "cloud:b/{2}"}, "x.to: {2}, but from has 1 +"},
		"NoRest":          {relay.Rule{From: "local:a/+", To: "cloud:b/{#}"}, "x.to: {#} is what the # of from matches"},
		"RestInside":      {relay.Rule{From: "local:a/#", To: "cloud:b/{#}/c"}, "x.to: "},
		"BadCapture":      {relay.Rule{From: "local:a/+", To: "cloud:b/{x}"}, "x.to: {x} is no capture"},
		"Unclosed":        {relay.Rule{From: "local:a/+", To: "cloud:b/{1"}, "x.to: { without }"},
		"Unopened":        {relay.Rule{From: "local:a/+", To: "cloud:b/1}"}, "x.to: } without {"},
		"CaptureFirst":    {relay.Rule{From: "local:+/a", To: "cloud:{1}/a"}, "x.to: the first level must be a fixed one"},
		"EightLevels":     {relay.Rule{From: "local:a", To: "cloud:1/2/3/4/5/6/7/8/9"}, "x.to: 9 levels; the cloud takes 8"},
		"EightLevelsRest": {relay.Rule{From: "local:a/#", To: "cloud:1/2/3/4/5/6/7/8/{#}"}, "x.to: 9 levels"},
		"EightLevelsFrom": {relay.Rule{From: "cloud:1/2/3/4/5/6/7/8/9", To: "local:a"}, "x.from: 9 levels"},
		"LongTopic":       {relay.Rule{From: "local:a", To: "cloud:" + pad(257)}, "x.to: 257 bytes"},
		"LongFilter":      {relay.Rule{From: "cloud:" + pad(257), To: "local:a"}, "x.from: 257 bytes"},
		"QoS2":            {relay.Rule{From: "local:a", To: "cloud:b", QoS: &two}, "x.qos: 2; want 0 or 1"},
		"QoSMinus":        {relay.Rule{From: "local:a", To: "cloud:b", QoS: &minus}, "x.qos: -1; want 0 or 1"},
		"Retain":          {relay.Rule{From: "local:a", To: "cloud:b", Retain: "yes"}, "x.retain: \"yes\" is none of"},
		"Class":           {relay.Rule{From: "local:a", To: "cloud:b", Class: "evnt"}, "x.class: \"evnt\" is no class; there are event, state, telemetry"},
		"ClassDown":       {relay.Rule{From: "cloud:a", To: "local:b", Class: "event"}, "x.class: a class is for messages to the cloud"},
		"EnvelopeDown":    {relay.Rule{From: "cloud:a", To: "local:b", Envelope: true}, "x.envelope: an envelope is for messages to the cloud"},
	} {
		t.Run(name, func(t *testing.T) {
			faults := relay.Config{"x": row.rule}.Validate(nil)
			if row.want == "" {
				if len(faults) > 0 {
					t.Error(faults)
				}
				return
			}
			if len(faults) != 1 || !strings.HasPrefix(faults[0].Error(), row.want) {
				t.Errorf("got %v, want one fault that begins with %q", faults, row.want)
			}
		})
	}
}

// Rules that feed each other in a circle would send a message round for ever.
func TestConfig_Loops(t *testing.T) {
	for name, row := range map[string]struct {
		rules relay.Config
		want  string
	}{
		"There and back":    {relay.Config{"a": {From: "local:x/#", To: "cloud:y/{#}"}, "b": {From: "cloud:y/+", To: "local:x/{1}"}}, "a.to: a loop: a → b → a"},
		"Other topics":      {relay.Config{"a": {From: "local:x/#", To: "cloud:y/{#}"}, "b": {From: "cloud:z/+", To: "local:x/{1}"}}, ""},
		"Back elsewhere":    {relay.Config{"a": {From: "local:x/#", To: "cloud:y/{#}"}, "b": {From: "cloud:y/#", To: "local:all/{#}"}}, ""},
		"Round four":        {relay.Config{"a": {From: "local:1", To: "cloud:1"}, "b": {From: "cloud:1", To: "local:2"}, "c": {From: "local:2", To: "cloud:2"}, "d": {From: "cloud:+", To: "local:1"}}, "a.to: a loop: a → b → c → d → a"},
		"Wildcards overlap": {relay.Config{"a": {From: "local:+/t", To: "cloud:u/{1}"}, "b": {From: "cloud:#", To: "local:v/{#}"}}, "a.to: a loop: a → b → a"},
	} {
		t.Run(name, func(t *testing.T) {
			faults := row.rules.Validate(nil)
			switch {
			case row.want == "" && len(faults) > 0:
				t.Error(faults)
			case row.want != "" && (len(faults) != 1 || !strings.HasPrefix(faults[0].Error(), row.want)):
				t.Errorf("got %v, want %q", faults, row.want)
			}
		})
	}
}

func TestClasses_Validate(t *testing.T) {
	for want, c := range map[string]relay.Classes{
		"": {"telemetry": {}, "slow": {Size: 1 << 20, Age: time.Hour, Full: relay.Refuse}},
		"telemetry.size: 512KiB is not between 1MiB and 64GiB":            {"telemetry": {Size: 512 << 10}},
		"telemetry.age: -1s is negative":                                  {"telemetry": {Age: -time.Second}},
		"telemetry.full: \"newest\" is none of oldest, latest and refuse": {"telemetry": {Full: "newest"}},
		"A/B: want a name of 1 to 32 of a-z 0-9 _ -":                      {"A/B": {}},
	} {
		if got := strings.Trim(fmt.Sprint(c.Validate()), "[]"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]relay.Size{"64MiB": 64 << 20, "500 KiB": 500 << 10, "2GiB": 2 << 30, "7B": 7, "0B": 0} {
		var got relay.Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "64", "64MB", "-1MiB", "MiB", "1.5GiB", "1e9GiB", "99999999999GiB"} {
		var got relay.Size
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
	for size, want := range map[relay.Size]string{64 << 20: "64MiB", 1536 << 10: "1536KiB", 3: "3B", 0: "0B"} {
		if got := size.String(); got != want {
			t.Errorf("%d is %s, want %s", int64(size), got, want)
		}
	}
}

func TestConfig_Test(t *testing.T) {
	cfg := relay.Config{
		"deep":  {From: "local:line/#", To: "cloud:1/2/3/4/5/6/{#}", Class: "event"},
		"lines": {From: "local:line/+/data", To: "cloud:site1/{1}/data", Retain: relay.Keep},
		"down":  {From: "cloud:cmd/+", To: "local:cmd/{1}"},
	}
	for topic, want := range map[string][]relay.Match{
		"local:line/7/data": {
			{Rule: "deep", Target: "cloud:1/2/3/4/5/6/7/data", QoS: 1, Class: "event", Permission: "the cloud's policy: iot:Publish on topic/1/2/3/4/5/6/7/data"},
			{Rule: "lines", Target: "cloud:site1/7/data", QoS: 1, Class: "telemetry", Permission: "the cloud's policy: iot:Publish on topic/site1/7/data and iot:RetainPublish on it"},
		},
		"local:line/7/8/9":  {{Rule: "deep", QoS: 1, Error: "a topic of more than 8 levels"}},
		"cloud:cmd/x":       {{Rule: "down", Target: "local:cmd/x", QoS: 1, Permission: "the cloud's policy: iot:Subscribe on topicfilter/cmd/+, iot:Receive on topic/cmd/x"}},
		"local:other":       nil,
		"cloud:line/7/data": nil,
	} {
		got, err := cfg.Test(nil, topic)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", topic, diff)
		}
	}
	for _, topic := range []string{"", "line/7", "local:", "local:a/+", "other:a"} {
		if got, err := cfg.Test(nil, topic); err == nil {
			t.Errorf("%q: %v", topic, got)
		}
	}
}

func TestConfig_Needs(t *testing.T) {
	cfg := relay.Config{
		"a": {From: "local:line/+/#", To: "cloud:site1/x-{1}/{#}", Retain: relay.Set},
		"b": {From: "local:other/+/#", To: "cloud:site1/x-{1}/{#}"},
		"c": {From: "cloud:cmd/+/#", To: "local:cmd/{#}"},
	}
	want := []relay.Need{
		{"iot:Publish", "site1/*/*"}, {"iot:RetainPublish", "site1/*/*"},
		{"iot:Subscribe", "cmd/+/#"}, {"iot:Receive", "cmd/*/*"},
	}
	if diff := cmp.Diff(want, cfg.Needs(nil)); diff != "" {
		t.Error(diff)
	}
}
