package rest

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"edgeshadow/localshadow/broker"
	"edgeshadow/localshadow/shadow"
)

// published is the answer to a message, of which clients read the status alone.
var published = []byte(`{"message":"OK"}`)

// publish sends the body to a topic (SHADOW 19).
func (a *API) publish(c *call) ([]byte, error) {
	m, err := c.properties()
	if err != nil {
		return nil, err
	}
	if m.Payload, err = c.body(); err != nil {
		return nil, err
	}
	if m.UTF8 && !utf8.Valid(m.Payload) {
		return nil, invalid("The payload is not UTF-8, as its format indicator says")
	}
	if err := a.Broker.Post(c.Context(), c.who, m); err != nil {
		return nil, err
	}
	return published, nil
}

// properties reads what stands beside the payload.
func (c *call) properties() (m broker.Posted, err error) {
	m.Topic = c.name
	m.ContentType = c.query.Get("contentType")
	m.ResponseTopic = c.query.Get("responseTopic")
	if !utf8.ValidString(m.Topic + m.ContentType + m.ResponseTopic) {
		return m, invalid("Not UTF-8")
	}
	if s := c.query.Get("qos"); s != "" {
		if s != "0" && s != "1" {
			return m, invalid("Invalid qos; want 0 or 1")
		}
		m.QoS = s[0] - '0'
	}
	if s := c.query.Get("retain"); s != "" {
		if m.Retain, err = strconv.ParseBool(s); err != nil {
			return m, invalid("Invalid retain; want true or false")
		}
	}
	if s := c.query.Get("messageExpiry"); s != "" {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return m, invalid("Invalid messageExpiry; want seconds")
		}
		m.Expiry = uint32(n)
	}
	switch c.Header.Get("x-amz-mqtt5-payload-format-indicator") {
	case "", "UNSPECIFIED_BYTES":
	case "UTF8_DATA":
		m.UTF8 = true
	default:
		return m, invalid("Invalid payload format indicator; want UNSPECIFIED_BYTES or UTF8_DATA")
	}
	if m.Correlation, err = base64.StdEncoding.DecodeString(c.Header.Get("x-amz-mqtt5-correlation-data")); err != nil {
		return m, invalid("Invalid correlation data; want base64")
	}
	m.UserProperties, err = userProperties(c.Header.Get("x-amz-mqtt5-user-properties"))
	return m, err
}

var errProperties = invalid("Invalid user properties; want base64 of a JSON array of objects of text")

// userProperties reads base64 of [{"name":"value"},…], in which a name may
// come several times.
func userProperties(header string) ([][2]string, error) {
	if header == "" {
		return nil, nil
	}
	text, err := base64.StdEncoding.DecodeString(header)
	if err != nil {
		return nil, errProperties
	}
	v, err := shadow.Parse(text)
	list, ok := v.([]any)
	if err != nil || !ok {
		return nil, errProperties
	}
	var out [][2]string
	for _, item := range list {
		o, ok := item.(*shadow.Object)
		if !ok {
			return nil, errProperties
		}
		for name, value := range o.All() {
			s, ok := value.(string)
			if !ok {
				return nil, errProperties
			}
			out = append(out, [2]string{name, s})
		}
	}
	return out, nil
}

// encodeUserProperties is the opposite of userProperties, without its base64.
func encodeUserProperties(properties [][2]string) ([]byte, error) {
	list := make([]map[string]string, 0, len(properties))
	for _, p := range properties {
		list = append(list, map[string]string{p[0]: p[1]})
	}
	return json.Marshal(list)
}
