package delivery_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"
)

// policySite serves an enforced MTA-STS policy that names one server, and gives its address.
func policySite(k *kit, domain, host string) string {
	k.t.Helper()
	cert, err := k.ca.Issue(time.Now().AddDate(0, 1, 0), "mta-sts."+domain)
	if err != nil {
		k.t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = fmt.Fprintf(w, "version: STSv1\nmode: enforce\nmx: %s\nmax_age: 86400\n", host)
	}))
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	k.t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}
