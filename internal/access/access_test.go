package access_test

import (
	"testing"

	"github.com/dannsalud/broadcaster/internal/access"
)

func TestARoleMayWhatTheLesserOnesMay(t *testing.T) {
	t.Parallel()
	roles := []access.Role{"", access.Viewer, access.Operator, access.Admin}
	for rank, role := range roles {
		for needed, other := range roles {
			if may := role.Includes(other); may != (needed > 0 && rank >= needed) {
				t.Errorf("%q includes %q: %t", role, other, may)
			}
		}
	}
}

func TestACallerOfWhomNobodyKnowsMayNothing(t *testing.T) {
	t.Parallel()
	if access.From(t.Context()).May(access.Viewer) {
		t.Error("a request from nobody may read")
	}
	scoped := access.Caller{Role: access.Operator, User: "ana"}
	if got := access.From(access.With(t.Context(), scoped)); got != scoped {
		t.Errorf("the caller is %+v", got)
	}
	if !scoped.Sees("ana") || scoped.Sees("") || scoped.Sees("eva") || !(access.Caller{}).Sees("eva") {
		t.Error("a scoped caller sees that user's things and no others")
	}
	if (access.Caller{Role: access.Admin, Link: "ses_1"}).May(access.Viewer) {
		t.Error("a token for one link may more")
	}
}
