package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProxiesAreReadAlone(t *testing.T) {
	t.Parallel()
	got, err := LoadProxies(map[string]string{"PROXY_USER_ana": "http://ana:hunter2@proxy", "OTHER": "x"})
	if diff := cmp.Diff(map[string]string{"ana": "http://ana:hunter2@proxy"}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := LoadProxies(map[string]string{"PROXY_USER_ana": "ftp://ana:hunter2@proxy"}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("another kind of address: %v", err)
	}
}

func TestTheAPITakesProxiesOfUsersWithAKeyOnly(t *testing.T) {
	t.Parallel()
	environ := map[string]string{"PROXY_USER_ana": "socks5://ana:hunter2@proxy:1080"}
	if _, err := LoadAPI(environ); err == nil || !strings.HasPrefix(err.Error(), "EGRESS_KEY: ") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("without a key: %v", err)
	}
	environ["EGRESS_KEY"] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	loaded, err := LoadAPI(environ)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"ana": environ["PROXY_USER_ana"]}, loaded.DefaultProxies()); diff != "" {
		t.Error(diff)
	}
	shown := fmt.Sprintf("%v %+v %#v", loaded.Redacted(), loaded, loaded)
	if strings.Contains(shown, "hunter2") || strings.Contains(shown, environ["EGRESS_KEY"]) || !strings.Contains(shown, "socks5://***@proxy:1080") {
		t.Errorf("shown: %s", shown)
	}
}
