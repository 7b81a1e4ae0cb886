package rest

import (
	"errors"
	"net/http"

	"edgeshadow/localshadow/broker"
	"edgeshadow/localshadow/shadow"
)

// exceptions are the names by which SDKs know what went wrong; they read them
// from the header x-amzn-ErrorType, because the code of the body is a number
// (SHADOW 14).
var exceptions = map[int]string{
	http.StatusBadRequest:            "InvalidRequestException",
	http.StatusUnauthorized:          "UnauthorizedException",
	http.StatusForbidden:             "ForbiddenException",
	http.StatusNotFound:              "ResourceNotFoundException",
	http.StatusMethodNotAllowed:      "MethodNotAllowedException",
	http.StatusConflict:              "ConflictException",
	http.StatusRequestEntityTooLarge: "RequestEntityTooLargeException",
	http.StatusUnsupportedMediaType:  "UnsupportedDocumentEncodingException",
	http.StatusTooManyRequests:       "ThrottlingException",
	http.StatusInternalServerError:   "InternalFailureException",
	http.StatusServiceUnavailable:    "ServiceUnavailableException",
}

var (
	errForbidden   = &shadow.Error{Code: http.StatusForbidden, Message: "Forbidden"}
	errNoRoute     = &shadow.Error{Code: http.StatusNotFound, Message: "No such resource"}
	errMethod      = &shadow.Error{Code: http.StatusMethodNotAllowed, Message: "Method not allowed"}
	errTooLarge    = &shadow.Error{Code: http.StatusRequestEntityTooLarge, Message: "The payload exceeds the maximum size allowed"}
	errInternal    = &shadow.Error{Code: http.StatusInternalServerError, Message: "Internal service failure"}
	errUnavailable = &shadow.Error{Code: http.StatusServiceUnavailable, Message: "Service unavailable"}
	errTopic       = invalid("Invalid topic")
	errRetained    = &shadow.Error{Code: http.StatusNotFound, Message: "No retained message exists for the topic"}
	errClient      = &shadow.Error{Code: http.StatusNotFound, Message: "No client with this id is connected"}
)

func invalid(text string) *shadow.Error {
	return &shadow.Error{Code: http.StatusBadRequest, Message: text}
}

// refusal is an error as the wire has it.
func refusal(err error) *shadow.Error {
	var refused *shadow.Error
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &large):
		return errTooLarge
	case errors.Is(err, broker.ErrForbidden):
		return errForbidden
	case errors.Is(err, broker.ErrTopic):
		return errTopic
	case errors.Is(err, broker.ErrNotKept):
		return errUnavailable
	}
	return errInternal
}
