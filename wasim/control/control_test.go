package control_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/control"
	"github.com/dannsalud/broadcaster/wasim/script"
)

const (
	ownNumber   = "+4915112345678"
	otherNumber = "+525512345678"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs the control API of a simulator and gives its client. What needs a WhatsApp client is tested beside the simulator.
func serve(t *testing.T) *control.Client {
	t.Helper()
	server, err := wasim.New(wasim.Options{})
	must(t, err)
	api := httptest.NewServer(control.NewHandler(server, control.Info{Address: "127.0.0.1:1"}))
	t.Cleanup(api.Close)
	client := control.NewClient(api.URL+"/", api.Client())
	info, err := client.Server(t.Context())
	must(t, err)
	if [32]byte(info.RootPublicKey) != wasim.RootPublicKey() || info.Address != "127.0.0.1:1" {
		t.Errorf("info %+v", info)
	}
	return client
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestErrorsKeepTheirMeaning(t *testing.T) {
	t.Parallel()
	client := serve(t)
	ctx := t.Context()
	must(t, client.NewPhone(ctx, control.NewPhone{Number: ownNumber}))
	const deadQR = "2@gone,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=," +
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	_, noDevice := client.Send(ctx, otherNumber, ownNumber, "hola")
	for name, row := range map[string]struct {
		got  error
		code string
		is   error
	}{
		"second phone":   {client.NewPhone(ctx, control.NewPhone{Number: ownNumber}), "phone_exists", wasim.ErrPhoneExists},
		"bad number":     {client.NewPhone(ctx, control.NewPhone{Number: "x"}), "invalid", nil},
		"no QR":          {client.ScanQR(ctx, ownNumber, "x"), "not_a_qr", nil},
		"expired QR":     {client.ScanQR(ctx, ownNumber, deadQR), "expired", wasim.ErrExpired},
		"no code":        {client.EnterCode(ctx, ownNumber, "ABCDEFGH"), "expired", wasim.ErrExpired},
		"no phone":       {client.ScanQR(ctx, otherNumber, "x"), "not_found", nil},
		"no device":      {noDevice, "no_device", wasim.ErrNoDevice},
		"unlinked":       {client.Unlink(ctx, ownNumber, 9), "no_such_device", wasim.ErrNoSuchDevice},
		"no rule":        {client.StopRule(ctx, 9), "not_found", nil},
		"no contact":     {client.Declare(ctx, "x", wasim.Profile{}), "invalid", nil},
		"nonsense fault": {func() error { _, err := client.Script(ctx, script.Rule{On: "x"}); return err }(), "invalid", nil},
	} {
		var answered *control.Error
		if !errors.As(row.got, &answered) || answered.Code != row.code || row.is != nil && !errors.Is(row.got, row.is) {
			t.Errorf("%s: %v", name, row.got)
		}
	}
}

func TestRequestsThatAreNoRequests(t *testing.T) {
	t.Parallel()
	server, err := wasim.New(wasim.Options{})
	must(t, err)
	handler := control.NewHandler(server, control.Info{})
	for _, row := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/v1/rules", `{"on":"message","do":{"kind":"ack_error","cod":463}}`, http.StatusUnprocessableEntity},
		{"POST", "/v1/phones", `{`, http.StatusUnprocessableEntity},
		{"GET", "/v1/contacts/x/received", "", http.StatusNotFound},
		{"GET", "/v1/nonsense", "", http.StatusNotFound},
		{"DELETE", "/v1/phones", "", http.StatusMethodNotAllowed},
	} {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), row.method, row.path, strings.NewReader(row.body)))
		if recorder.Code != row.status {
			t.Errorf("%s %s: %d %s", row.method, row.path, recorder.Code, recorder.Body)
		}
	}
}
