package access_test

import "edgeshadow/localshadow/access"

// Each row is a policy, the client that has it, and questions with their
// answers; + is yes. The rules are those of SHADOW 21.
var decisions = []struct {
	rule   string
	policy string
	client string
	asks   string
}{
	{"default deny", document(allow("iot:Connect", "~client/x1")), "nobody", `
		+ iot:Connect x1
		- iot:Connect x2
		- iot:Publish x1
		- iot:Subscribe x1
		- iot:GetThingShadow x1`},
	{"the policy of the AWS samples", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}`, "nobody", `
		+ iot:Connect anything
		+ iot:Publish $aws/things/other/shadow/update
		+ iot:RetainPublish a
		+ iot:Subscribe #
		+ iot:Receive $aws/events/presence/connected/x
		+ iot:GetThingShadow t
		+ iot:ListThings *
		- iot:Fly a`},
	{"action * is every action", document(allow("*", "*")), "nobody", `
		+ iot:Connect c
		+ iot:DeleteThing t`},
	{"any matching Deny wins", document(allow("iot:*", "*"), deny("iot:Publish", "~topic/secret/*")), "nobody", `
		+ iot:Publish open
		- iot:Publish secret/1
		- iot:Publish secret/
		+ iot:Publish secret
		+ iot:Receive secret/1`},
	{"any matching Deny wins, whatever the order", document(deny("iot:Publish", "~topic/secret/*"), allow("iot:*", "*")), "nobody", `
		- iot:Publish secret/1
		+ iot:Publish open`},
	{"actions may be a list", document(allow(`["iot:Publish","iot:Receive"]`, "~topic/a")), "nobody", `
		+ iot:Publish a
		+ iot:Receive a
		- iot:RetainPublish a
		- iot:Subscribe a`},
	{"wildcards in actions", document(allow("iot:*ThingShadow", "~thing/t")), "nobody", `
		+ iot:GetThingShadow t
		+ iot:UpdateThingShadow t
		+ iot:DeleteThingShadow t
		- iot:ListNamedShadowsForThing t
		- iot:DeleteThing t`},
	{"a thing type is no thing", document(allow("iot:*", "~thingtype/pump"), allow("iot:ListThingTypes", "*")), "nobody", `
		+ iot:DescribeThingType pump
		+ iot:CreateThingType pump
		+ iot:DeprecateThingType pump
		+ iot:DeleteThingType pump
		+ iot:ListThingTypes *
		- iot:DescribeThingType tap
		- iot:DescribeThing pump`},
	{"the case of an action does not matter", document(allow("IOT:publish", "~topic/a")), "nobody", `
		+ iot:Publish a`},
	{"each action has its kind of resource", document(allow("iot:*", "~topic/a")), "nobody", `
		+ iot:Publish a
		+ iot:Receive a
		+ iot:RetainPublish a
		+ iot:GetRetainedMessage a
		- iot:Subscribe a
		- iot:Connect a
		- iot:GetThingShadow a`},
	{"RetainPublish is asked beside Publish", document(allow("iot:Publish", "~topic/a")), "nobody", `
		+ iot:Publish a
		- iot:RetainPublish a`},
	{"a filter is no topic", document(allow("iot:Subscribe", "~topicfilter/a/*")), "nobody", `
		+ iot:Subscribe a/b
		+ iot:Subscribe a/#
		+ iot:Subscribe a/+/c
		- iot:Subscribe a
		- iot:Subscribe #
		- iot:Receive a/b`},
	{"a filter is matched literally: a Deny of a narrower one does not stop a wider one",
		document(allow("iot:Subscribe", "~topicfilter/a/*"), deny("iot:Subscribe", "~topicfilter/a/restricted/*")), "nobody", `
		+ iot:Subscribe a/#
		- iot:Subscribe a/restricted/#
		+ iot:Subscribe a/restricted
		+ iot:Subscribe a/+/x`},
	{"+ and # are plain characters", document(allow("iot:Subscribe", "~topicfilter/a/+/b/#")), "nobody", `
		+ iot:Subscribe a/+/b/#
		- iot:Subscribe a/x/b/#
		- iot:Subscribe a/+/b/c`},
	{"a star is any run, slashes and nothing included", document(allow("iot:Publish", "~topic/a*z")), "nobody", `
		+ iot:Publish az
		+ iot:Publish abcz
		+ iot:Publish a/b/c/z
		+ iot:Publish azz
		- iot:Publish a
		- iot:Publish azb
		- iot:Publish baz`},
	{"several stars", document(allow("iot:Publish", "~topic/*/x/*/y")), "nobody", `
		+ iot:Publish a/x/b/y
		+ iot:Publish /x//y
		+ iot:Publish a/x/x/y/x/y
		- iot:Publish x/b/y
		- iot:Publish a/x/y`},
	{"a question mark is exactly one character", document(allow("iot:Publish", "~topic/a?c")), "nobody", `
		+ iot:Publish abc
		+ iot:Publish a/c
		+ iot:Publish aéc
		- iot:Publish ac
		- iot:Publish abbc`},
	{"a star and a question mark", document(allow("iot:Publish", "~topic/*?")), "nobody", `
		+ iot:Publish €
		+ iot:Publish ab
		- iot:Publish `},
	{"a question mark is no half of a character", document(allow("iot:Publish", "~topic/*??")), "nobody", `
		- iot:Publish €
		+ iot:Publish €€`},
	{"topics are case sensitive", document(allow("iot:Publish", "~topic/Abc")), "nobody", `
		+ iot:Publish Abc
		- iot:Publish abc`},
	{"the kind of a resource may be part of a wildcard", document(allow("iot:*", "~*")), "nobody", `
		+ iot:Publish a
		+ iot:Connect a
		+ iot:ListThings *`},
	{"a wildcard across the kind", document(allow("iot:*", "~topic*/a")), "nobody", `
		+ iot:Publish a
		+ iot:Subscribe a
		+ iot:Subscribe b/a
		- iot:Connect a`},
	{"account and region match anything", document(
		allow("iot:Publish", "arn:aws:iot:us-west-2:000000000000:topic/a"), allow("iot:Publish", "arn:aws:iot:*:*:topic/b"),
		allow("iot:Publish", "arn:aws-cn:iot::999:topic/c"), allow("iot:Publish", "arn:aws:iot:::topic/d:e")), "nobody", `
		+ iot:Publish a
		+ iot:Publish b
		+ iot:Publish c
		+ iot:Publish d:e
		- iot:Publish d`},
	{"a wildcard of the account does not reach the topic", document(allow("iot:Publish", "arn:aws:iot:*:*:topic/b")), "nobody", `
		- iot:Publish a:topic/b`},
	{"resources of other services are none", document(allow("iot:*", "arn:aws:sqs:eu-central-1:1:topic/a")), "nobody", `
		- iot:Publish a`},
	{"an ARN that ends early with a star", document(allow("iot:Publish", "arn:aws:iot:*")), "nobody", `
		+ iot:Publish a`},
	{"resources may be a list", document(allow("iot:Publish", `["~topic/a","~topic/b"]`)), "nobody", `
		+ iot:Publish a
		+ iot:Publish b
		- iot:Publish c`},
	{"NotResource is all but", document(st("Allow", "iot:Publish", "NotResource", `["~topic/a","~topic/b/*"]`, nil)), "nobody", `
		- iot:Publish a
		- iot:Publish b/c
		+ iot:Publish b
		+ iot:Publish c
		- iot:Receive c`},
	{"Deny with NotResource", document(allow("iot:*", "*"), st("Deny", "iot:Publish", "NotResource", "~topic/a", nil)), "nobody", `
		+ iot:Publish a
		- iot:Publish b
		+ iot:Receive b`},
	{"the client id", document(allow("iot:Connect", "~client/${iot:ClientId}"), allow("iot:Publish", "~topic/dt/${iot:ClientId}/*")), "nobody", `
		+ iot:Connect x1
		- iot:Connect x2
		+ iot:Publish dt/x1/a
		- iot:Publish dt/x2/a
		- iot:Publish dt/x1`},
	{"a value is no pattern", document(allow("iot:Publish", "~topic/${iot:ClientId}")), "star", `
		+ iot:Publish *
		- iot:Publish anything`},
	{"a client called + in a topicfilter widens access, as SHADOW warns", document(allow("iot:Subscribe", "~topicfilter/${iot:ClientId}/x")), "plus", `
		+ iot:Subscribe +/x
		- iot:Subscribe a/x`},
	{"over HTTP there is no client id", document(allow("iot:*", "~thing/${iot:ClientId}")), "lamp-http", `
		- iot:GetThingShadow lamp
		- iot:GetThingShadow `},
	{"the address", document(allow("iot:Publish", "~topic/from/${aws:SourceIp}")), "nobody", `
		+ iot:Publish from/192.168.7.20
		- iot:Publish from/192.168.7.21`},
	{"escapes give the character itself", document(allow("iot:Publish", "~topic/a${*}b${?}c${$}{x}")), "nobody", `
		+ iot:Publish a*b?c${x}
		- iot:Publish aXb?c${x}
		- iot:Publish a*bXc${x}`},
	{"a dollar without a brace is a dollar", document(allow("iot:Publish", "~topic/$aws/things/t/shadow/*")), "nobody", `
		+ iot:Publish $aws/things/t/shadow/get`},
	{"the thing's name, when client id, thing and certificate agree", document(
		allow("iot:Connect", "~client/${iot:Connection.Thing.ThingName}"), allow("iot:Publish", "~topic/${iot:Connection.Thing.ThingName}")), "lamp", `
		+ iot:Connect lamp
		+ iot:Publish lamp
		- iot:Publish other`},
	{"the thing's name does not resolve with another client id", document(
		allow("iot:Connect", "~client/${iot:Connection.Thing.ThingName}"), allow("iot:Publish", "~topic/${iot:Thing.ThingName}")), "lamp-other", `
		- iot:Connect other
		- iot:Connect lamp
		- iot:Publish lamp`},
	{"thing variables resolve for connections only", document(allow("iot:GetThingShadow", "~thing/${iot:Connection.Thing.ThingName}")), "lamp-http", `
		- iot:GetThingShadow lamp`},
	{"the thing's name without a certificate", document(allow("iot:Publish", "~topic/${iot:Connection.Thing.ThingName}")), "nobody", `
		- iot:Publish x1`},
	{"the undocumented spelling", document(allow("iot:Publish", "~topic/${iot:Thing.ThingName}")), "lamp", `
		+ iot:Publish lamp`},
	{"type and attributes", document(
		allow("iot:Publish", "~topic/type/${iot:Connection.Thing.ThingTypeName}"),
		allow("iot:Publish", "~topic/room/${iot:Connection.Thing.Attributes[room]}"),
		allow("iot:Publish", "~topic/none/${iot:Connection.Thing.Attributes[none]}")), "lamp", `
		+ iot:Publish type/light
		- iot:Publish type/heater
		+ iot:Publish room/hall
		- iot:Publish room/
		- iot:Publish none/
		- iot:Publish none/x`},
	{"IsAttached as text", document(allow("iot:Publish", "~topic/${iot:Connection.Thing.IsAttached}")), "lamp-other", `
		+ iot:Publish false
		- iot:Publish true`},
	{"a variable without a value makes an Allow not match, with all its resources",
		document(allow("iot:Publish", `["~topic/open","~topic/${iot:Connection.Thing.ThingName}"]`)), "lamp-other", `
		- iot:Publish open`},
	{"a variable without a value does not take a Deny away",
		document(allow("iot:*", "*"), deny("iot:Publish", `["~topic/secret","~topic/${iot:Connection.Thing.ThingName}"]`)), "lamp-other", `
		- iot:Publish secret
		+ iot:Publish lamp`},
	{"a Deny of all but an unknown name denies all",
		document(allow("iot:*", "*"), st("Deny", "iot:Publish", "NotResource", "~topic/${iot:Connection.Thing.ThingName}", nil)), "lamp-other", `
		- iot:Publish lamp
		- iot:Publish other`},
	{"an Allow of all but an unknown name allows nothing",
		document(st("Allow", "iot:Publish", "NotResource", "~topic/${iot:Connection.Thing.ThingName}", nil)), "lamp-other", `
		- iot:Publish a`},
	{"variables of other services have no value", document(allow("iot:Publish", "~topic/${cognito-identity.amazonaws.com:sub}")), "nobody", `
		- iot:Publish `},
	{"what a certificate says", document(
		allow("iot:Publish", "~topic/cn/${iot:Certificate.Subject.CommonName}"), allow("iot:Publish", "~topic/o/${iot:Certificate.Subject.Organization}"),
		allow("iot:Publish", "~topic/o1/${iot:Certificate.Subject.Organization.1}"), allow("iot:Publish", "~topic/o2/${iot:Certificate.Subject.Organization.2}"),
		allow("iot:Publish", "~topic/i/${iot:Certificate.Issuer.CommonName}"), allow("iot:Publish", "~topic/s/${iot:Certificate.SerialNumber}"),
		allow("iot:Publish", "~topic/d/${iot:Certificate.Subject.AlternativeName.DNSName}"), allow("iot:Publish", "~topic/t/${iot:Certificate.Subject.Title}")), "lamp", `
		+ iot:Publish cn/lamp
		+ iot:Publish o/ACME
		+ iot:Publish o1/Second
		- iot:Publish o2/
		+ iot:Publish i/lamp
		+ iot:Publish s/abc
		+ iot:Publish d/lamp.example
		- iot:Publish t/`},
	{"a certificate's value with a wildcard is not substituted", document(allow("iot:Publish", "~topic/${iot:Certificate.Subject.OrganizationalUnit}")), "lamp", `
		- iot:Publish a*b
		- iot:Publish aXb`},
	{"certificate variables over HTTP", document(allow("iot:GetThingShadow", "~thing/${iot:Certificate.Subject.CommonName}")), "lamp-http", `
		+ iot:GetThingShadow lamp
		- iot:GetThingShadow other`},
	{"Bool", document(allow("iot:Publish", "*", when("Bool", "iot:Connection.Thing.IsAttached", `"true"`))), "lamp", `
		+ iot:Publish a`},
	{"Bool without quotes", document(allow("iot:Publish", "*", when("Bool", "iot:Connection.Thing.IsAttached", `[true]`))), "lamp-other", `
		- iot:Publish a`},
	{"an absent key does not match", document(allow("iot:Publish", "*", when("StringEquals", "iot:Connection.Thing.ThingTypeName", `"light"`))), "nobody", `
		- iot:Publish a`},
	{"StringEquals of a thing's type", document(allow("iot:Publish", "*", when("StringEquals", "iot:Connection.Thing.ThingTypeName", `["heater","light"]`))), "lamp", `
		+ iot:Publish a`},
	{"StringEquals takes a star literally", document(allow("iot:Publish", "*", when("StringEquals", "iot:Connection.Thing.ThingTypeName", `"l*"`))), "lamp", `
		- iot:Publish a`},
	{"StringLike", document(allow("iot:Publish", "*", when("StringLike", "iot:Connection.Thing.ThingTypeName", `"l*t"`))), "lamp", `
		+ iot:Publish a`},
	{"StringNotEquals", document(allow("iot:Publish", "*", when("StringNotEquals", "iot:Connection.Thing.Attributes[room]", `["hall","cellar"]`))), "lamp", `
		- iot:Publish a`},
	{"StringNotEquals of an absent key", document(allow("iot:Publish", "*", when("StringNotEquals", "iot:Connection.Thing.Attributes[floor]", `"1"`))), "lamp", `
		+ iot:Publish a`},
	{"StringEqualsIgnoreCase", document(allow("iot:Publish", "*", when("StringEqualsIgnoreCase", "iot:ClientId", `"LAMP"`))), "lamp", `
		+ iot:Publish a`},
	{"a variable in a condition", document(allow("iot:Publish", "*", when("StringEquals", "iot:ClientId", `"${iot:Certificate.Subject.CommonName}"`))), "lamp", `
		+ iot:Publish a`},
	{"a variable in a condition that does not agree", document(allow("iot:Publish", "*", when("StringEquals", "iot:ClientId", `"${iot:Certificate.Subject.CommonName}"`))), "lamp-other", `
		- iot:Publish a`},
	{"…IfExists of an absent key", document(allow("iot:Publish", "*", when("StringEqualsIfExists", "iot:Connection.Thing.ThingTypeName", `"light"`))), "nobody", `
		+ iot:Publish a`},
	{"Null asks for absence", document(allow("iot:Publish", "~topic/a", when("Null", "iot:Connection.Thing.ThingTypeName", `"true"`)),
		allow("iot:Publish", "~topic/b", when("Null", "iot:Connection.Thing.ThingTypeName", `"false"`))), "nobody", `
		+ iot:Publish a
		- iot:Publish b`},
	{"several keys must all match", document(allow("iot:Publish", "*",
		`"StringEquals":{"iot:ClientId":"lamp","iot:Connection.Thing.ThingTypeName":"heater"}`)), "lamp", `
		- iot:Publish a`},
	{"several operators must all match", document(allow("iot:Publish", "*",
		when("StringEquals", "iot:ClientId", `"lamp"`), when("IpAddress", "aws:SourceIp", `"192.168.7.0/24"`))), "lamp", `
		+ iot:Publish a`},
	{"IpAddress", document(allow("iot:Publish", "*", when("IpAddress", "aws:SourceIp", `["10.0.0.0/8","192.168.7.20"]`))), "nobody", `
		+ iot:Publish a`},
	{"IpAddress of another network", document(allow("iot:Publish", "*", when("IpAddress", "aws:SourceIp", `"10.0.0.0/8"`))), "nobody", `
		- iot:Publish a`},
	{"NotIpAddress", document(allow("iot:*", "*"), deny("iot:Publish", "*", when("NotIpAddress", "aws:SourceIp", `"192.168.0.0/16"`))), "far", `
		- iot:Publish a
		+ iot:Receive a`},
	{"IPv6", document(allow("iot:Publish", "*", when("IpAddress", "aws:SourceIp", `"2001:db8::/32"`))), "far", `
		+ iot:Publish a`},
	{"an unconditional Connect permits both attributes", document(allow("iot:Connect", "*")), "lamp-will", `
		+ iot:Connect lamp`},
	{"ForAllValues over what is there", document(allow("iot:Connect", "*", when("ForAllValues:StringEquals", "iot:ConnectAttributes", `["PersistentConnect"]`))), "lamp-will", `
		- iot:Connect lamp`},
	{"ForAllValues of all of them", document(allow("iot:Connect", "*", when("ForAllValues:StringEquals", "iot:ConnectAttributes", `["PersistentConnect","LastWill"]`))), "lamp-will", `
		+ iot:Connect lamp`},
	{"ForAllValues over an empty set is true", document(allow("iot:Connect", "*", when("ForAllValues:StringEquals", "iot:ConnectAttributes", `["PersistentConnect"]`))), "lamp", `
		+ iot:Connect lamp`},
	{"ForAnyValue", document(allow("iot:Connect", "*", when("ForAnyValue:StringEquals", "iot:ConnectAttributes", `["LastWill"]`))), "lamp-keep", `
		- iot:Connect lamp`},
	{"ForAnyValue over an empty set is false", document(allow("iot:Connect", "*", when("ForAnyValue:StringEquals", "iot:ConnectAttributes", `["LastWill"]`))), "lamp", `
		- iot:Connect lamp`},
	{"the documented way to disallow persistent sessions", document(allow("iot:Connect", "*"),
		deny("iot:Connect", "*", when("ForAnyValue:StringEquals", "iot:ConnectAttributes", `["PersistentConnect"]`))), "lamp-keep", `
		- iot:Connect lamp`},
	{"… does not touch others", document(allow("iot:Connect", "*"),
		deny("iot:Connect", "*", when("ForAnyValue:StringEquals", "iot:ConnectAttributes", `["PersistentConnect"]`))), "lamp", `
		+ iot:Connect lamp`},
	{"ForAllValues:StringNotEquals", document(allow("iot:Connect", "*", when("ForAllValues:StringNotEquals", "iot:ConnectAttributes", `["LastWill"]`))), "lamp-will", `
		- iot:Connect lamp`},
	{"ForAllValues:StringNotEquals of others", document(allow("iot:Connect", "*", when("ForAllValues:StringNotEquals", "iot:ConnectAttributes", `["LastWill"]`))), "lamp-keep", `
		+ iot:Connect lamp`},
	{"ArnEquals of the last will", document(allow("iot:Connect", "*", when("ArnEquals", "iot:LastWillTopic", `"arn:aws:iot:us-east-1:1:topic/bye/*"`))), "lamp-will", `
		+ iot:Connect lamp`},
	{"ArnEquals of another will", document(allow("iot:Connect", "*", when("ArnEquals", "iot:LastWillTopic", `"arn:aws:iot:us-east-1:1:topic/ciao/*"`))), "lamp-will", `
		- iot:Connect lamp`},
	{"no will", document(allow("iot:Connect", "*", when("ArnEquals", "iot:LastWillTopic", `"arn:aws:iot:us-east-1:1:topic/*"`))), "lamp", `
		- iot:Connect lamp`},
	{"keys of a CONNECT are absent elsewhere", document(allow("iot:*", "*", when("ForAnyValue:StringEquals", "iot:ConnectAttributes", `["LastWill"]`))), "lamp-will", `
		+ iot:Connect lamp
		- iot:Publish a`},
	{"a list of a certificate's values", document(allow("iot:Publish", "*", when("ForAnyValue:StringEquals", "iot:Certificate.Subject.Organization.List", `["Second"]`))), "lamp", `
		+ iot:Publish a`},
	{"AvailableKeys", document(allow("iot:Publish", "~topic/a", when("ForAnyValue:StringEquals", "iot:Certificate.AvailableKeys", `"iot:Certificate.Subject.Country"`)),
		allow("iot:Publish", "~topic/b", when("ForAnyValue:StringEquals", "iot:Certificate.AvailableKeys", `"iot:Certificate.Subject.Title"`))), "lamp", `
		+ iot:Publish a
		- iot:Publish b`},
	{"numbers", document(allow("iot:Publish", "~topic/a", when("NumericGreaterThan", "iot:Connection.Thing.Attributes[watts]", `40`)),
		allow("iot:Publish", "~topic/b", when("NumericLessThanEquals", "iot:Connection.Thing.Attributes[watts]", `"40"`))), "lamp", `
		+ iot:Publish a
		- iot:Publish b`},
	{"shadows over REST", document(allow("iot:GetThingShadow", `["~thing/t","~thing/t/config"]`)), "nobody", `
		+ iot:GetThingShadow t
		+ iot:GetThingShadow t/config
		- iot:GetThingShadow t/other
		- iot:UpdateThingShadow t
		- iot:GetThingShadow t2`},
	{"a wildcard over all shadows of a thing", document(allow("iot:GetThingShadow", "~thing/t/*")), "nobody", `
		- iot:GetThingShadow t
		+ iot:GetThingShadow t/any`},
	{"listing, with the thing's ARN or *", document(allow("iot:ListNamedShadowsForThing", "~thing/t")), "nobody", `
		+ iot:ListNamedShadowsForThing t
		- iot:ListNamedShadowsForThing u
		- iot:ListRetainedMessages *`},
	{"listing with *", document(allow(`["iot:ListNamedShadowsForThing","iot:ListRetainedMessages"]`, "*")), "nobody", `
		+ iot:ListNamedShadowsForThing t
		+ iot:ListRetainedMessages *`},
	{"MQTT needs topics, not shadow actions", document(allow("iot:UpdateThingShadow", "*")), "nobody", `
		- iot:Publish $aws/things/t/shadow/update
		+ iot:UpdateThingShadow t`},
	{"the typical policy of one shadow", document(
		allow("iot:Connect", "~client/t"), allow("iot:Publish", `["~topic/$aws/things/t/shadow/get","~topic/$aws/things/t/shadow/update"]`),
		allow("iot:Subscribe", "~topicfilter/$aws/things/t/shadow/get/*"), allow("iot:Receive", "~topic/$aws/things/t/shadow/get/*")), "nobody", `
		+ iot:Connect t
		+ iot:Publish $aws/things/t/shadow/get
		- iot:Publish $aws/things/t/shadow/delete
		+ iot:Subscribe $aws/things/t/shadow/get/+
		+ iot:Subscribe $aws/things/t/shadow/get/accepted
		- iot:Subscribe $aws/things/t/shadow/#
		+ iot:Receive $aws/things/t/shadow/get/rejected
		- iot:Receive $aws/things/t/shadow/update/delta`},
	{"own-thing", access.OwnThing, "lamp", `
		+ iot:Connect lamp
		- iot:Connect other
		+ iot:Publish $aws/things/lamp/shadow/update
		+ iot:Publish $aws/things/lamp/shadow/name/config/get
		- iot:Publish $aws/things/lamp2/shadow/update
		- iot:Publish $aws/things/other/shadow/update
		+ iot:Subscribe $aws/things/lamp/shadow/#
		+ iot:Subscribe $aws/things/lamp/shadow/update/delta
		- iot:Subscribe $aws/things/+/shadow/#
		- iot:Subscribe #
		- iot:Subscribe +/lamp/#
		- iot:Subscribe $aws/events/#
		+ iot:Receive cmd/lamp/on
		- iot:Receive cmd/other/on
		+ iot:Publish dt/lamp/temperature
		+ iot:RetainPublish dt/lamp/temperature
		- iot:Publish dt/lampshade/temperature
		- iot:Publish dt/../other
		+ iot:GetThingShadow lamp
		+ iot:UpdateThingShadow lamp/config
		- iot:UpdateThingShadow other
		- iot:DeleteThing lamp
		- iot:ListThings *`},
	{"own-thing over HTTP", access.OwnThing, "lamp-http", `
		+ iot:GetThingShadow lamp
		- iot:GetThingShadow other
		+ iot:Publish dt/lamp/x`},
	{"own-thing under another client id", access.OwnThing, "lamp-other", `
		- iot:Connect other`},
	{"own-thing without a certificate", access.OwnThing, "nobody", `
		- iot:Connect x1
		- iot:Publish dt/x1/a
		- iot:Publish dt//a`},
}
