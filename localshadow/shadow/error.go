package shadow

import "fmt"

// Error is a rejection as it stands on the wire (SHADOW 12).
type Error struct {
	Code    int
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("%d %s", e.Code, e.Message) }

// The rejections of E1 that need no details. Where the documentation and the
// service disagree the text is the one that the service was seen to send.
var (
	ErrInvalidJSON     = &Error{400, "Payload contains invalid json"}
	ErrMissingState    = &Error{400, "Missing required node: state"}
	ErrStateObject     = &Error{400, "State node must be an object"}
	ErrDesiredObject   = &Error{400, "Desired node must be an object"}
	ErrReportedObject  = &Error{400, "Reported node must be an object"}
	ErrInvalidVersion  = &Error{400, "Invalid version"}
	ErrInvalidToken    = &Error{400, "Invalid clientToken"}
	ErrVersionConflict = &Error{409, "Version conflict"}
	ErrEncoding        = &Error{415, "Unsupported documented encoding; supported encoding is UTF-8"}
	ErrThrottled       = &Error{429, "Too many requests"}
	ErrInternal        = &Error{500, "Internal service failure"}
)

func invalidNode(key string) *Error {
	return &Error{400, fmt.Sprintf("State contains an invalid node: '%s'", key)}
}

func tooDeep(limit int) *Error {
	return &Error{400, fmt.Sprintf("JSON contains too many levels of nesting; maximum is %d", limit)}
}

func tooLarge(size, limit int) *Error {
	return &Error{413, fmt.Sprintf("Json document too large.  Size is %d, max allowed: %d", size, limit)}
}

// NotFound is the answer to a get or delete of a shadow that does not exist
// (E2, X3).
func NotFound(id ID) *Error {
	return &Error{404, fmt.Sprintf("No shadow exists with name: '%s'", id)}
}
