package deployments

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// users are those of nats/users.conf, each with the variable of its password.
var users = map[string]string{
	"api": "NATS_API_PASSWORD", "linker": "NATS_LINKER_PASSWORD", "sender": "NATS_SENDER_PASSWORD",
	"operator": "NATS_OPERATOR_PASSWORD", "system": "NATS_SYSTEM_PASSWORD",
}

// TestMain sets the passwords that the server's configuration takes from the environment.
func TestMain(m *testing.M) {
	for user, variable := range users {
		if err := os.Setenv(variable, password(user)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

func password(user string) string { return "p-of-" + user }
