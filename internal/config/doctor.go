package config

// Doctor are the settings of a look at the whole deployment: what a service has, without the rest, and the passwords of the services' users as the
// NATS server has them.
type Doctor struct {
	Queue
	Database
	Egress

	KeystoreKey Secret `env:"KEYSTORE_KEY" allowed:"empty, or as for the services" meaning:"Is it the key of the database?"`

	APIPassword    Secret `env:"NATS_API_PASSWORD" allowed:"a password" meaning:"May the user api do what the API does?"`
	LinkerPassword Secret `env:"NATS_LINKER_PASSWORD" allowed:"a password" meaning:"May the user linker do what the linker does?"`
	SenderPassword Secret `env:"NATS_SENDER_PASSWORD" allowed:"a password" meaning:"May the user sender do what the sender does?"`
}

// LoadDoctor reads and checks the settings of a look.
func LoadDoctor(environ map[string]string) (c Doctor, err error) {
	check := read(environ, &c)
	c.Queue.check(check)
	c.Database.check(check)
	return c, check.result()
}
