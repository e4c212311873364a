package config

// Egress are the settings of proxies, the same for every service.
type Egress struct {
	EgressKey Secret `env:"EGRESS_KEY" allowed:"empty, or one or more keys in the form of KEYSTORE_KEY, which must be other ones: the API must not have those" meaning:"Seals the addresses of proxies, with their passwords, and the secrets of webhooks in the database. The same for every service. Without it the API takes no proxies and no webhooks."`
}

// DefaultProxies gives the proxies of single users as what needs them takes them, by id.
func (c API) DefaultProxies() map[string]string { return revealed(c.Proxies) }

// LoadProxies reads and checks PROXY_USER_<id> alone, for a process that has no other settings in its environment.
func LoadProxies(environ map[string]string) (map[string]string, error) {
	check := newChecker(struct{}{})
	found := proxies(environ, check)
	return revealed(found), check.result()
}

func revealed(proxies map[string]Secret) map[string]string {
	addresses := make(map[string]string, len(proxies))
	for id, address := range proxies {
		addresses[id] = address.Reveal()
	}
	return addresses
}
