package access_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"edgeshadow/localshadow/access"
)

// Every mistake has its place and its text, and all are told at once.
func TestParsePolicy_Faults(t *testing.T) {
	for text, want := range map[string]string{
		``:                          `1:1: not JSON: it ends too early`,
		`{"Version":`:               `1:12: not JSON: it ends too early`,
		"{\n  \"Version\" \"x\"\n}": `2:13: not JSON: invalid character '"' after object key`,
		`[]`:                        `1:1: want a policy document, an object, have a list`,
		`{} {}`:                     `1:4: text after the document`,
		"{\"a\xff\":1}":             `1:4: not UTF-8`,
		`{}`:                        "1:1: Version is missing; want \"2012-10-17\"\n1:1: Statement is missing",
		`{"Version":"2008-10-17","Statement":[]}`: "1:12: Version: want \"2012-10-17\", have \"2008-10-17\"\n" +
			`1:37: Statement: there is none`,
		`{"Version":"2012-10-17","Version":"2012-10-17","Statement":"all"}`: "1:25: Version stands twice\n" +
			`1:60: Statement: want a list of statements, have "all"`,
		`{"Version":"2012-10-17","Statement":[1]}`: `1:38: want a statement, an object, have 1`,
		"{\"Version\":\"2012-10-17\",\"Statement\":[\n {\"effect\":\"Allow\"}]}": "2:3: unknown key \"effect\"; known here: Sid Effect Action Resource NotResource Condition\n" +
			"2:2: Effect is missing; want Allow or Deny\n2:2: Action is missing\n2:2: Resource is missing",
		document(`{"Effect":"allow","Action":"iot:*","Resource":"*"}`):                        `1:48: Effect: want Allow or Deny, have "allow"`,
		document(`{"Effect":"Allow","Action":"Publish","Resource":"*"}`):                      `1:65: Action: "Publish" is no action, iot:<name>`,
		document(`{"Effect":"Allow","Action":["iot:Connect","iot:Pubish"],"Resource":"*"}`):   `1:80: Action: there is no "iot:Pubish"; did you mean iot:Publish?`,
		document(`{"Effect":"Allow","Action":[],"Resource":[7]}`):                             "1:65: Action: an empty list\n1:80: Resource: want text, have 7",
		document(`{"Effect":"Allow","NotAction":"iot:*","Resource":"*"}`):                     "1:38: NotAction, Principal and NotPrincipal are no elements of AWS IoT policies\n1:38: Action is missing",
		document(`{"Effect":"Allow","Action":"*","Resource":"topic/a"}`):                      `1:80: Resource: "topic/a" is neither "*" nor an ARN, arn:aws:iot:<region>:<account>:<topic, client, …>/<name>`,
		document(`{"Effect":"Allow","Action":"*","Resource":"arn:aws:iot:topic/a"}`):          `1:80: Resource: "arn:aws:iot:topic/a" has 4 of the six parts of an ARN, arn:aws:iot:<region>:<account>:<topic, client, …>/<name>`,
		document(`{"Effect":"Allow","Action":"*","Resource":"arn:aws:iot:::topic/${a"}`):      `1:80: Resource: ${ without }`,
		document(`{"Effect":"Allow","Action":"*","Resource":"arn:aws:iot:::topic/${iot:X}"}`): `1:80: Resource: there is no variable "iot:X"`,
		document(`{"Effect":"Allow","Action":"*","Resource":"*","NotResource":"*"}`):          `1:98: NotResource stands beside Resource; a statement has one of them`,
		document(allow("*", "*", `"Date":{"a":"b"}`)):                                         `1:105: Condition: there is no operator "Date"`,
		document(allow("*", "*", `"Bool":true`)):                                              `1:104: Bool: want an object of condition keys, have true`,
		document(allow("*", "*", when("Bool", "iot:Attached", `"true"`))):                     `1:105: Condition: there is no variable "iot:Attached"`,
		document(allow("*", "*", when("IpAddress", "aws:SourceIp", `["10.0.0.0/8","x"]`))):    `1:139: aws:SourceIp: "x" is no address and no network`,
		document(allow("*", "*", when("StringEquals", "iot:ConnectAttributes", `"LastWill"`))): `1:97: StringEquals compares one value; iot:ConnectAttributes holds several: ` +
			`write ForAnyValue:StringEquals or ForAllValues:StringEquals`,
		document(allow("*", "arn:aws:iot:::topic/"+strings.Repeat("x", 2048))): `1:1: 2152 characters without white space; AWS IoT takes 2048`,
		strings.Repeat(" ", 16<<10) + "{":                                      `1:1: 16385 bytes; a policy document may have 16384`,
		strings.Repeat("[", 40):                                                `1:18: nested too deeply`,
	} {
		_, err := access.ParsePolicy("p", []byte(text))
		if err == nil {
			err = errors.New("no fault")
		}
		if err.Error() != want {
			t.Errorf("%.200s\ngot  %s\nwant %s", text, err, want)
		}
	}
	if _, err := access.ParsePolicy("a b", []byte(document(allow("*", "*")))); err == nil {
		t.Error("a name with a blank")
	}
}

// A document with a single statement, with an Id and a Sid, with white space.
func TestParsePolicy_Spellings(t *testing.T) {
	for _, text := range []string{
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iot:*","Resource":"*"}}`,
		"{ \"Id\": \"x\",\r\n\t\"Version\": \"2012-10-17\", \"Statement\": [ {\"Sid\":\"1\",\"Effect\":\"Allow\",\"Action\":\"iot:*\",\"Resource\":\"*\"} ] }\n",
		document(allow("greengrass:*", "*"), allow("iot:CreateJob", "*")),
	} {
		if _, err := access.ParsePolicy("a.B_c=,@+-", []byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Pieces of policies, so that random ones meet random questions.
var (
	someActions   = []string{"iot:Publish", "iot:Receive", "iot:*", "*", "iot:Re*", "iot:Subscribe"}
	someResources = []string{"*", "~topic/a", "~topic/a/*", "~topic/*", "~topic*", "~topicfilter/a/#", "~topic/${iot:ClientId}", "~topic/a/?",
		"~topic/${iot:Connection.Thing.ThingName}", "~topic/*b"}
	someConditions = []string{"", `"Bool":{"iot:Connection.Thing.IsAttached":"true"}`, `"StringNotEquals":{"iot:ClientId":"x1"}`,
		`"IpAddress":{"aws:SourceIp":"192.168.0.0/16"}`, `"StringLike":{"iot:Connection.Thing.Attributes[room]":"h*"}`}
	someTopics = []string{"a", "a/b", "a/#", "x1", "lamp", "b", "", "a/b/c", "$aws/things/a/shadow/get"}
)

func drawStatement(t *rapid.T, effect string) string {
	var more []string
	if c := rapid.SampledFrom(someConditions).Draw(t, "condition"); c != "" {
		more = append(more, c)
	}
	key := rapid.SampledFrom([]string{"Resource", "Resource", "NotResource"}).Draw(t, "key")
	return st(effect, rapid.SampledFrom(someActions).Draw(t, "action"), key, rapid.SampledFrom(someResources).Draw(t, "resource"), more)
}

// No order of statements changes a decision; another Deny never allows; another
// Allow never denies.
func TestDecisions_Properties(t *testing.T) {
	clients := who(t)
	rapid.Check(t, func(r *rapid.T) {
		statements := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) string {
			return drawStatement(r, rapid.SampledFrom([]string{"Allow", "Allow", "Deny"}).Draw(r, "effect"))
		}), 1, 6).Draw(r, "statements")
		shuffled := rapid.Permutation(statements).Draw(r, "shuffled")
		c := clients[rapid.SampledFrom([]string{"lamp", "lamp-other", "lamp-http", "nobody", "far"}).Draw(r, "client")]
		name := rapid.SampledFrom([]string{"iot:Publish", "iot:Receive", "iot:Subscribe", "iot:RetainPublish"}).Draw(r, "name")
		topic := rapid.SampledFrom(someTopics).Draw(r, "topic")
		answer := func(statements ...string) bool {
			p, err := access.ParsePolicy("p", []byte(document(statements...)))
			if err != nil {
				r.Fatal(err)
			}
			return access.Decide(p, c, registered{"lamp": {Attributes: map[string]string{"room": "hall"}}}, name, topic)
		}
		before := answer(statements...)
		if answer(shuffled...) != before {
			r.Errorf("%s %s: %v, and %v in another order", name, topic, before, !before)
		}
		if !before && answer(append(slices.Clone(statements), drawStatement(r, "Deny"))...) {
			r.Errorf("%s %s: allowed by another Deny", name, topic)
		}
		if before && !answer(append(slices.Clone(statements), drawStatement(r, "Allow"))...) {
			r.Errorf("%s %s: denied by another Allow", name, topic)
		}
	})
}

// A pattern without wildcards, made by escaping, matches its own text alone.
func TestEscape(t *testing.T) {
	clients := who(t)
	rapid.Check(t, func(r *rapid.T) {
		letters := []string{"a", "*", "?", "$", "{", "}", "/", "${", "é"}
		text := func(label string) string {
			return strings.Join(rapid.SliceOfN(rapid.SampledFrom(letters), 0, 8).Draw(r, label), "")
		}
		one, two := text("one"), text("two")
		p, err := access.ParsePolicy("p", []byte(document(access.Allowing("iot:Publish", one))))
		if err != nil {
			r.Fatal(err)
		}
		if !access.Decide(p, clients["nobody"], nil, "iot:Publish", one) {
			r.Errorf("%q is not allowed by %s", one, access.Allowing("iot:Publish", one))
		}
		if one != two && access.Decide(p, clients["nobody"], nil, "iot:Publish", two) {
			r.Errorf("%q is allowed by %s", two, access.Allowing("iot:Publish", one))
		}
	})
}

// Whatever the text: no panic, faults with places inside it, and a policy that
// parses decides.
func FuzzParsePolicy(f *testing.F) {
	for _, d := range decisions {
		f.Add([]byte(d.policy), "iot:Publish", "a")
	}
	f.Add([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","NotResource":["arn:aws:iot:::${*}${iot:Certificate.Subject.Title.3}"]}}`), "iot:Connect", "é")
	credentials := who(f)["lamp-will"]
	f.Fuzz(func(t *testing.T, text []byte, action, resource string) {
		p, err := access.ParsePolicy("p", text)
		if err == nil {
			access.Decide(p, credentials, registered{}, action, resource)
			return
		}
		var faults access.Faults
		if !errors.As(err, &faults) || len(faults) == 0 {
			t.Fatalf("%T: %v", err, err)
		}
		lines := strings.Split(string(text), "\n")
		for _, fault := range faults {
			if fault.Line < 1 || fault.Line > len(lines) || fault.Column < 1 || fault.Column > len(lines[fault.Line-1])+1 || fault.Text == "" {
				t.Errorf("%+v in %q", fault, text)
			}
		}
	})
}

// A decision allocates nothing, whatever it takes. A broker asks for each delivery.
func TestDecisions_Allocations(t *testing.T) {
	for name, ask := range questions(t) {
		if n := testing.AllocsPerRun(100, func() { ask() }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkMay(b *testing.B) {
	for name, ask := range questions(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ask()
			}
		})
	}
}

func questions(tb testing.TB) map[string]func() bool {
	device := mustAuthenticate(tb, mustPolicy(tb, access.OwnThing, registered{}), who(tb)["lamp"])
	anyone := mustAuthenticate(tb, mustPolicy(tb, access.All, nil), who(tb)["nobody"])
	var many []string
	for i := range 12 {
		many = append(many, allow("iot:Publish", "~topic/site/*/line/"+string(rune('a'+i))+"/*"))
	}
	rules := mustAuthenticate(tb, mustPolicy(tb, document(append(many, deny("iot:*", "~topic/*/secret/*"))...), nil), who(tb)["nobody"])
	long := strings.Repeat("level/", 40)
	return map[string]func() bool{
		"all":            func() bool { return anyone.May("iot:Receive", "$aws/things/lamp/shadow/update/accepted") },
		"own-thing":      func() bool { return device.May("iot:Receive", "$aws/things/lamp/shadow/update/accepted") },
		"own-thing-no":   func() bool { return device.May("iot:Receive", "$aws/things/other/shadow/update/accepted") },
		"13-statements":  func() bool { return rules.May("iot:Publish", "site/7/line/l/temperature") },
		"13-no-long":     func() bool { return rules.May("iot:Publish", long) },
		"unknown-action": func() bool { return rules.May("iot:Fly", "a") },
	}
}

// A configuration is checked with its policy files, and their faults are told
// with their places; a file that is not there is not a fault of the text.
func TestConfig_Validate(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.json")
	if err := os.WriteFile(bad, []byte("{\n\"Version\":\"2012-10-17\",\"Statement\":[]}"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := access.Config{
		Policies: map[string]string{"bad": bad, "gone": filepath.Join(dir, "gone.json"), "all": bad},
		Principals: []access.Entry{
			{Certificate: "*", Policies: []string{"own-thing"}},
			{Certificate: "*", Anonymous: true, Policies: []string{"all"}},
			{Policies: []string{"all"}},
			{User: "ada", Policies: []string{"all"}},
			{Anonymous: true, Password: "x"},
			{User: "bob", Password: "x", Policies: slices.Repeat([]string{"p"}, 11)},
			{User: "bob", Password: "y", Policies: []string{"p"}},
		},
	}
	var got []string
	for _, err := range c.Validate() {
		got = append(got, err.Error())
	}
	want := []string{
		"policies.all: the policy all is built in",
		"policies.bad: " + bad + ":2:36: Statement: there is none",
		"principals[1]: want one of certificate, anonymous: true and user, have 2",
		"principals[2]: want one of certificate, anonymous: true and user, have 0",
		"principals[4].password: only a user has one",
		"principals[4].policies: missing; want names of policies, for example [own-thing]",
		"principals[5].policies: 11 policies; AWS IoT gives a principal at most 10",
		"principals[6].password: bob has the password of principals[5] already",
		"principals[3].password: missing; want file:PATH of a hash that edgeshadow access passwd has made",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
