package delivery_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/carepost/carepost/internal/caretest"
	"github.com/carepost/carepost/internal/delivery"
	"github.com/carepost/carepost/internal/id"
	"github.com/carepost/carepost/internal/smtpclient"
	"github.com/carepost/carepost/internal/store"
)

// BenchmarkSend sends messages of 10 KiB over verified TLS, signed with RSA-2048, each with intent, outcome and ledger entry, to a receiver
// in this process. CAREPOST_SINK=host:port and CAREPOST_SINK_CA=file send to another receiver, whose certificate is for mx.sink.test;
// CAREPOST_CONNECTIONS bounds the connections.
func BenchmarkSend(b *testing.B) {
	for engine, open := range map[string]func(testing.TB) *store.Store{"sqlite": caretest.Open, "postgres": caretest.OpenPostgreSQL} {
		for _, signed := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/signed=%v", engine, signed), func(b *testing.B) { benchSend(b, open(b), signed) })
		}
	}
}

func benchSend(b *testing.B, st *store.Store, signed bool) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	connections := 20
	if s := os.Getenv("CAREPOST_CONNECTIONS"); s != "" {
		if _, err := fmt.Sscan(s, &connections); err != nil {
			b.Fatal(err)
		}
	}
	k := newKit(b, st, func(o *delivery.Options) {
		o.Schedule, o.Timeouts, o.Outcome = delivery.Schedule{}, smtpclient.Timeouts{}, nil
		o.Connections = connections
		if signed {
			o.Signing = func(context.Context, id.Organisation, string) ([]delivery.SigningKey, error) {
				return []delivery.SigningKey{{Domain: "carepost.test", Selector: "s1", Signer: key}}, nil
			}
		}
	})
	body := strings.Repeat("A line of a message of the usual length, as programs write them all day.\r\n", 132)
	k.setPrepare(func(_ context.Context, _ id.Organisation, items []delivery.Item) ([]delivery.Prepared, error) {
		var all []delivery.Prepared
		for _, i := range items {
			all = append(all, delivery.Prepared{
				Message: i.Message, Verdict: delivery.Go, From: "b@bounce.carepost.test", To: "p" + i.Message.String()[4:] + "@" + i.Way.Domain,
				Need: i.Way.Offers(true), Signer: "carepost.test",
				Data: fmt.Appendf(nil, "From: a@carepost.test\r\nTo: p@sink.test\r\nSubject: s\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <%s@carepost.test>\r\n"+
					"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n%s", i.Message, body),
			})
		}
		return all, nil
	})
	domain := "sink.test"
	if to := os.Getenv("CAREPOST_SINK"); to != "" {
		k.names.mu.Lock()
		k.names.hosts, k.names.addr = map[string][]string{domain: {"mx.sink.test"}}, map[string]string{"mx.sink.test:25": to}
		k.names.mu.Unlock()
		pem, err := os.ReadFile(os.Getenv("CAREPOST_SINK_CA"))
		if err != nil {
			b.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		k.setRoots(pool)
	} else {
		k.serve(domain, &sink{forget: true})
	}
	var rows []delivery.Row
	for range b.N {
		rows = append(rows, delivery.Row{Domain: domain, Size: 10 << 10})
	}
	for len(rows) > 0 {
		n := min(len(rows), 1000)
		k.enqueue(rows[:n]...)
		rows = rows[n:]
	}
	runtime.GC()
	cpu := cpuSeconds(b)
	b.ResetTimer()
	began := time.Now()
	stop := k.run()
	k.until("all sent", func() bool { time.Sleep(20 * time.Millisecond); return k.engine.Written() >= int64(b.N) })
	took := time.Since(began).Seconds()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/took, "msg/s")
	b.ReportMetric(1000*(cpuSeconds(b)-cpu)/float64(b.N), "cpu-ms/msg")
	stop()
	if c := k.counts(); c.Ended[delivery.Accepted] != b.N || c.Doubts != 0 {
		b.Errorf("%+v of %d", c, b.N)
	}
}

func cpuSeconds(b *testing.B) float64 {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
}
