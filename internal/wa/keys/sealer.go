package keys

// SealSecret seals a secret of a session that is no row of the key store, such as the address of its proxy. It opens under the same session, kind
// and key only. kind must be none of the key store's own.
func (r *Ring) SealSecret(session, kind, key string, secret []byte) ([]byte, error) {
	return r.seal(session, kind, key, secret)
}

// OpenSecret gives what SealSecret sealed.
func (r *Ring) OpenSecret(session, kind, key string, envelope []byte) ([]byte, error) {
	return r.open(session, kind, key, envelope)
}
