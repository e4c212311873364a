package check

import (
	"os"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
)

const page = "../openapi.json"

// complaints are what the validator says against a document.
func complaints(t *testing.T, text []byte) (all []string) {
	t.Helper()
	document, err := libopenapi.NewDocument(text)
	if err != nil {
		return []string{err.Error()}
	}
	if _, err := document.BuildV3Model(); err != nil {
		return []string{err.Error()}
	}
	checker, failures := validator.NewValidator(document)
	for _, failure := range failures {
		all = append(all, failure.Error())
	}
	if checker == nil {
		return all
	}
	_, found := checker.ValidateDocument()
	for _, complaint := range found {
		all = append(all, complaint.Message+": "+complaint.Reason)
		for _, place := range complaint.SchemaValidationErrors {
			all = append(all, place.FieldPath+": "+place.Reason)
		}
	}
	return all
}

func TestTheDocumentIsOpenAPI(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, complaint := range complaints(t, text) {
		t.Error(complaint)
	}
	for name, spoilt := range map[string]string{
		"a response without a description": strings.Replace(string(text), `"description": "Created",`, "", 1),
		"a parameter in no place":          strings.Replace(string(text), `"in": "query"`, `"in": "nowhere"`, 1),
		"no information":                   strings.Replace(string(text), `"info": {`, `"information": {`, 1),
	} {
		if spoilt == string(text) || len(complaints(t, []byte(spoilt))) == 0 {
			t.Errorf("nobody complains of %s", name)
		}
	}
}
