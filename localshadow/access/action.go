package access

import "strings"

// What a principal may do, by the names of AWS IoT policies, and what the
// resource of each is (SHADOW 21).
const (
	ActionConnect       = "iot:Connect"       // a client id
	ActionPublish       = "iot:Publish"       // a topic
	ActionRetainPublish = "iot:RetainPublish" // a topic; asked beside ActionPublish
	ActionSubscribe     = "iot:Subscribe"     // a filter, as it was sent; of a shared one what follows the group
	ActionReceive       = "iot:Receive"       // a topic; asked for each delivery

	ActionGetThingShadow           = "iot:GetThingShadow"    // a thing, or thing/shadow
	ActionUpdateThingShadow        = "iot:UpdateThingShadow" // the same
	ActionDeleteThingShadow        = "iot:DeleteThingShadow" // the same
	ActionListNamedShadowsForThing = "iot:ListNamedShadowsForThing"
	ActionGetRetainedMessage       = "iot:GetRetainedMessage" // a topic
	ActionListRetainedMessages     = "iot:ListRetainedMessages"
	ActionDeleteConnection         = "iot:DeleteConnection" // a client id
	ActionDescribeThing            = "iot:DescribeThing"    // a thing
	ActionCreateThing              = "iot:CreateThing"      // a thing
	ActionUpdateThing              = "iot:UpdateThing"      // a thing
	ActionDeleteThing              = "iot:DeleteThing"      // a thing
	ActionListThings               = "iot:ListThings"
	ActionDescribeThingType        = "iot:DescribeThingType"  // a thing type
	ActionCreateThingType          = "iot:CreateThingType"    // a thing type
	ActionDeprecateThingType       = "iot:DeprecateThingType" // a thing type
	ActionDeleteThingType          = "iot:DeleteThingType"    // a thing type
	ActionListThingTypes           = "iot:ListThingTypes"
)

// action is one that this gateway asks for, as an index into actions.
type action uint8

// actions are all that are asked for, by their names in policies, and what
// stands before the resource's name in its ARN. Those that list are for "*".
var actions = []struct{ name, head string }{
	{ActionConnect, "client/"},
	{ActionPublish, "topic/"},
	{ActionRetainPublish, "topic/"},
	{ActionSubscribe, "topicfilter/"},
	{ActionReceive, "topic/"},
	{ActionGetThingShadow, "thing/"},
	{ActionUpdateThingShadow, "thing/"},
	{ActionDeleteThingShadow, "thing/"},
	{ActionListNamedShadowsForThing, "thing/"},
	{ActionGetRetainedMessage, "topic/"},
	{ActionListRetainedMessages, ""},
	{ActionDeleteConnection, "client/"},
	{ActionDescribeThing, "thing/"},
	{ActionCreateThing, "thing/"},
	{ActionUpdateThing, "thing/"},
	{ActionDeleteThing, "thing/"},
	{ActionListThings, ""},
	{ActionDescribeThingType, "thingtype/"},
	{ActionCreateThingType, "thingtype/"},
	{ActionDeprecateThingType, "thingtype/"},
	{ActionDeleteThingType, "thingtype/"},
	{ActionListThingTypes, ""},
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
