package access

import "strings"

// action is one that this gateway asks for, as an index into actions.
type action uint8

// actions are all that are asked for, by their names in policies, and what
// stands before the resource's name in its ARN. Those that list are for "*".
var actions = []struct{ name, head string }{
	{"iot:Connect", "client/"},
	{"iot:Publish", "topic/"},
	{"iot:RetainPublish", "topic/"},
	{"iot:Subscribe", "topicfilter/"},
	{"iot:Receive", "topic/"},
	{"iot:GetThingShadow", "thing/"},
	{"iot:UpdateThingShadow", "thing/"},
	{"iot:DeleteThingShadow", "thing/"},
	{"iot:ListNamedShadowsForThing", "thing/"},
	{"iot:GetRetainedMessage", "topic/"},
	{"iot:ListRetainedMessages", ""},
	{"iot:DeleteConnection", "client/"},
	{"iot:DescribeThing", "thing/"},
	{"iot:CreateThing", "thing/"},
	{"iot:UpdateThing", "thing/"},
	{"iot:DeleteThing", "thing/"},
	{"iot:ListThings", ""},
	{"iot:DescribeThingType", "thingtype/"},
	{"iot:CreateThingType", "thingtype/"},
	{"iot:DeprecateThingType", "thingtype/"},
	{"iot:DeleteThingType", "thingtype/"},
	{"iot:ListThingTypes", ""},
	{"iot:DescribeJobExecution", "thing/"},
	{"iot:GetPendingJobExecutions", "thing/"},
	{"iot:StartNextPendingJobExecution", "thing/"},
	{"iot:UpdateJobExecution", "thing/"},
}

const connectAction action = 0

// actionNamed finds an action by its exact name, without allocating.
func actionNamed(name string) (action, bool) {
	for i := range actions {
		if actions[i].name == name {
			return action(i), true
		}
	}
	return 0, false
}

// actionSet is a set of actions.
type actionSet uint32

func (s actionSet) has(a action) bool { return s>>a&1 != 0 }

// actionsLike are the actions that a pattern of a policy means; their case does
// not matter.
func actionsLike(pat string) (set actionSet) {
	pat = strings.ToLower(pat)
	for i := range actions {
		if glob(pat, strings.ToLower(actions[i].name)) {
			set |= 1 << i
		}
	}
	return set
}
