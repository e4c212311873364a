package bus

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"

	"github.com/ThreeDotsLabs/watermill"
)

// longNumber is a run of digits as long as a phone number or a WhatsApp id, with its plus sign.
var longNumber = regexp.MustCompile(`\+?\d{7,}`)

// redact masks what may be a person's number in an error text, and cuts the text to maxDetail. Failed jobs are kept for a month and are read by
// many; internal/ops does the same for logs.
func redact(text string) string {
	text = longNumber.ReplaceAllString(strings.ToValidUTF8(text, "?"), "[number]")
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "") + "…"
	}
	return text
}

// maskedLog is what Watermill logs to: it writes the whole error of a handler, which may name a person's number.
type maskedLog struct{ to watermill.LoggerAdapter }

// Error implements watermill.LoggerAdapter.
func (l maskedLog) Error(line string, err error, fields watermill.LogFields) {
	l.to.Error(line, errors.New(redact(fmt.Sprint(err))), masked(fields))
}

// Info implements watermill.LoggerAdapter.
func (l maskedLog) Info(line string, fields watermill.LogFields) { l.to.Info(line, masked(fields)) }

// Debug implements watermill.LoggerAdapter.
func (l maskedLog) Debug(line string, fields watermill.LogFields) { l.to.Debug(line, masked(fields)) }

// Trace implements watermill.LoggerAdapter.
func (l maskedLog) Trace(line string, fields watermill.LogFields) { l.to.Trace(line, masked(fields)) }

// With implements watermill.LoggerAdapter.
func (l maskedLog) With(fields watermill.LogFields) watermill.LoggerAdapter {
	return maskedLog{l.to.With(masked(fields))}
}

// masked gives the fields with what may be a person's number masked in their errors.
func masked(fields watermill.LogFields) watermill.LogFields {
	fields = maps.Clone(fields)
	for key, value := range fields {
		if err, is := value.(error); is {
			fields[key] = redact(err.Error())
		}
	}
	return fields
}
