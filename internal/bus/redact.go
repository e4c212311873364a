package bus

import (
	"regexp"
	"strings"
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
