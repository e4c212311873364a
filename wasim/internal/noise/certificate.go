package noise

import (
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
	"time"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/whatsmeow/proto/waCert"
	"google.golang.org/protobuf/proto"
)

// The validity of every certificate. It starts before 2000-01-01 because that is when the clock of testing/synctest starts, and the
// client checks it.
var (
	notBefore = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

// rootSerial is the issuer serial that the client demands of the intermediate certificate.
const rootSerial = 0

// Root is the key pair that signs the certificate chains of servers. Clients trust its public half (whatsmeow.WACertPubKey).
type Root struct{ private *ecdh.PrivateKey }

// NewRoot makes a root with a random key.
func NewRoot() (*Root, error) {
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make root key: %w", err)
	}
	return &Root{private: private}, nil
}

// RootFromKey makes a root from a private key, so that several processes can share one.
func RootFromKey(private [32]byte) (*Root, error) {
	key, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil {
		return nil, fmt.Errorf("read root key: %w", err)
	}
	return &Root{private: key}, nil
}

// PublicKey is what clients must trust.
func (r *Root) PublicKey() [32]byte { return [32]byte(r.private.PublicKey().Bytes()) }

// PrivateKey is the secret half, for sharing the root with another process of the same test.
func (r *Root) PrivateKey() [32]byte { return [32]byte(r.private.Bytes()) }

// Identity is a server's static key and the certificate chain that vouches for it.
type Identity struct {
	static *ecdh.PrivateKey
	chain  []byte
}

// Issue makes a new server identity: an intermediate certificate signed by the root, and a leaf signed by the intermediate that
// names the static key.
func (r *Root) Issue() (*Identity, error) {
	intermediate, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make intermediate key: %w", err)
	}
	static, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make static key: %w", err)
	}
	const intermediateSerial, leafSerial = 1, 2
	upper, upperSignature, err := sign(r.private, intermediate.PublicKey(), intermediateSerial, rootSerial)
	if err != nil {
		return nil, err
	}
	lower, lowerSignature, err := sign(intermediate, static.PublicKey(), leafSerial, intermediateSerial)
	if err != nil {
		return nil, err
	}
	chain, err := proto.Marshal(&waCert.CertChain{
		Intermediate: &waCert.CertChain_NoiseCertificate{Details: upper, Signature: upperSignature},
		Leaf:         &waCert.CertChain_NoiseCertificate{Details: lower, Signature: lowerSignature},
	})
	if err != nil {
		return nil, fmt.Errorf("encode certificate chain: %w", err)
	}
	return &Identity{static: static, chain: chain}, nil
}

func sign(issuer *ecdh.PrivateKey, subject *ecdh.PublicKey, serial, issuerSerial uint32) (details, signature []byte, err error) {
	details, err = proto.Marshal(&waCert.CertChain_NoiseCertificate_Details{
		Serial:       proto.Uint32(serial),
		IssuerSerial: proto.Uint32(issuerSerial),
		Key:          subject.Bytes(),
		NotBefore:    proto.Uint64(uint64(notBefore.Unix())),
		NotAfter:     proto.Uint64(uint64(notAfter.Unix())),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("encode certificate: %w", err)
	}
	sum := ecc.CalculateSignature(ecc.NewDjbECPrivateKey([32]byte(issuer.Bytes())), details)
	return details, sum[:], nil
}
