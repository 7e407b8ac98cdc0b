package delivery_test

import (
	"crypto/x509"
	"os"
	"testing"
	"fmt"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/tlspolicy"
)

func TestZZ(t *testing.T) {
	k := newKit(t, caretest.Open(t), func(o *delivery.Options) { o.Schedule.Life = map[delivery.Kind]time.Duration{delivery.Care: time.Minute, delivery.Marketing: time.Minute}})
	k.names.hosts, k.names.addr = map[string][]string{"sink.test": {"mx.sink.test"}}, map[string]string{"mx.sink.test:25": "127.0.0.1:2599"}
	pem, _ := os.ReadFile("/tmp/sink.pem")
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	k.setRoots(pool)
	k.need["sink.test"] = tlspolicy.ProofPKIX
	k.enqueue(many(500, "sink.test", delivery.Care)...)
	k.enqueue(many(500, "sink.test", delivery.Marketing)...)
	k.run()
	c := k.ended()
	fmt.Printf("%+v\n", c)
}
