package events

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dannsalud/broadcaster/internal/fault"
)

func aFailedJob(t testing.TB) FailedJob {
	t.Helper()
	payload, err := json.Marshal(RunCampaign{Version: RunCampaignVersion, CampaignID: aCampaign, SessionID: aSession, Slice: 3, RequestedAt: at})
	if err != nil {
		t.Fatal(err)
	}
	return FailedJob{Version: FailedJobVersion, Subject: "commands.campaign." + string(aCampaign), Stream: StreamCommands, Consumer: "sender", Sequence: 7,
		MessageID: "campaign:" + string(aCampaign) + ":3", Headers: map[string]string{"kind": "run_campaign"}, Payload: payload, Kind: "run_campaign", SchemaVersion: 1,
		SessionID: string(aSession), CampaignID: string(aCampaign), TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", Worker: "sender-1", Attempts: 10, QueuedAt: at, FailedAt: later,
		FirstError: Failure{Class: fault.RetryLater, Code: "no_answer", Message: "WhatsApp did not answer", Detail: "send: no answer", At: at},
		LastError:  Failure{Class: fault.Internal, Code: "internal", Message: "Something went wrong inside the service; the log has the details", Detail: "disk", At: later}}
}

func TestAFailedJobIsPlainJSONWithItsPayloadReadable(t *testing.T) {
	t.Parallel()
	compareGolden(t, "failed_job.v2.json", aFailedJob(t))
}

func TestAFailedJobOfTheFirstVersionIsRead(t *testing.T) {
	t.Parallel()
	var job FailedJob
	err := json.Unmarshal([]byte(`{"version":1,"subject":"commands.link.ses_1","payload":"eyJ2ZXJzaW9uIjoxfQ=="}`), &job)
	if err != nil || string(job.Payload) != `{"version":1}` || job.Subject != "commands.link.ses_1" {
		t.Errorf("%+v, %v", job, err)
	}
}

// FuzzFailedJob: whatever bytes a job had, it comes back out of FAILED with the same ones.
func FuzzFailedJob(f *testing.F) {
	for _, payload := range []string{"", "{}", `{"a": 1}`, `{"a":"<b>"}`, `{"a":`, "null", "\xff\x00", `"text"`, "12", `{"a":1}` + "\n", `{"é":"\u00e9"}`} {
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		job := aFailedJob(t)
		job.Payload = payload
		encoded, err := json.Marshal(job)
		if err != nil {
			t.Fatal(err)
		}
		var back FailedJob
		if err := json.Unmarshal(encoded, &back); err != nil {
			t.Fatalf("%s: %v", encoded, err)
		}
		if !bytes.Equal(back.Payload, payload) {
			t.Errorf("%q came back as %q by %s", payload, back.Payload, encoded)
		}
		back.Payload = payload
		if diff := cmp.Diff(job, back); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAPayloadIsCheckedAgainstItsCommand(t *testing.T) {
	t.Parallel()
	link := FailedJob{Subject: "commands.link." + string(aSession)}
	good := `{"version":1,"session_id":"` + string(aSession) + `","link_id":"lnk_1","method":"qr","requested_at":"2026-03-01T12:30:15.25Z"}`
	command, err := link.CheckPayload([]byte(good))
	if err != nil || command.Kind() != "link_session" {
		t.Errorf("%+v, %v", command, err)
	}
	for name, row := range map[string]struct{ subject, payload, reason string }{
		"a field of no command": {link.Subject, strings.Replace(good, "link_id", "linkid", 1), "unknown field"},
		"another session":       {"commands.link.ses_2", good, "something else"},
		"a fact":                {"events.session.ses_1.state", good, "no command"},
		"a wrong type":          {link.Subject, strings.Replace(good, `"version":1`, `"version":"1"`, 1), "cannot unmarshal"},
	} {
		_, err := FailedJob{Subject: row.subject}.CheckPayload([]byte(row.payload))
		if fault.Of(err) != fault.Invalid || !strings.Contains(fault.As(err).Message, row.reason) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
