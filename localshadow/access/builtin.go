package access

// The built-in policies.
const (
	OwnThing = "own-thing"
	All      = "all"
)

// builtin are the policies that are there without a file.
//
// OwnThing is for a device: to connect under its thing's name, its thing's
// shadows over MQTT and HTTP, and two families of topics. Its thing is the one
// that the certificate names, which has no "/" in it, nor "+" and "#".
var builtin = map[string]*Policy{
	OwnThing: mustParse(OwnThing, `{
  "Version": "2012-10-17",
  "Statement": [
    {"Effect": "Allow", "Action": "iot:Connect", "Resource": "arn:aws:iot:*:*:client/${edgeshadow:Thing}"},
    {"Effect": "Allow", "Action": ["iot:Publish", "iot:RetainPublish", "iot:Receive", "iot:GetRetainedMessage"], "Resource": [
      "arn:aws:iot:*:*:topic/$aws/things/${edgeshadow:Thing}/shadow/*",
      "arn:aws:iot:*:*:topic/$aws/things/${edgeshadow:Thing}/jobs/*",
      "arn:aws:iot:*:*:topic/dt/${edgeshadow:Thing}", "arn:aws:iot:*:*:topic/dt/${edgeshadow:Thing}/*",
      "arn:aws:iot:*:*:topic/cmd/${edgeshadow:Thing}", "arn:aws:iot:*:*:topic/cmd/${edgeshadow:Thing}/*"]},
    {"Effect": "Allow", "Action": "iot:Subscribe", "Resource": [
      "arn:aws:iot:*:*:topicfilter/$aws/things/${edgeshadow:Thing}/shadow/*",
      "arn:aws:iot:*:*:topicfilter/$aws/things/${edgeshadow:Thing}/jobs/*",
      "arn:aws:iot:*:*:topicfilter/dt/${edgeshadow:Thing}", "arn:aws:iot:*:*:topicfilter/dt/${edgeshadow:Thing}/*",
      "arn:aws:iot:*:*:topicfilter/cmd/${edgeshadow:Thing}", "arn:aws:iot:*:*:topicfilter/cmd/${edgeshadow:Thing}/*"]},
    {"Effect": "Allow", "Action": ["iot:GetThingShadow", "iot:UpdateThingShadow", "iot:DeleteThingShadow", "iot:ListNamedShadowsForThing", "iot:DescribeThing"],
      "Resource": ["arn:aws:iot:*:*:thing/${edgeshadow:Thing}", "arn:aws:iot:*:*:thing/${edgeshadow:Thing}/*"]}
  ]
}`),
	All: mustParse(All, `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}`),
}

func mustParse(name, text string) *Policy {
	p, err := ParsePolicy(name, []byte(text))
	if err != nil {
		panic(err) // of the text above
	}
	return p
}
