// Package seal owns the keys and everything made with them: the epoch ring outside the database, the key tree in seal_key, the
// envelope of every sealed field, blind indexes, and the tokens of links and addresses.
//
// It never knows what it seals, nor who may open it. It writes no key and no plaintext anywhere but into the ring file.
//
// It follows NIST SP 800-38D (AES-GCM with random nonces), SP 800-108 and RFC 5869 (derived keys) and 45 CFR 164.312(a)(2)(iv);
// every call of cryptography is one that the FIPS 140-3 module approves. Read envelope.go first, then keys.go, then rotate.go;
// docs/formats/envelope.md says the same for one who has only the bytes.
package seal
