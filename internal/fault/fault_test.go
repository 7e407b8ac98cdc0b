package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/carepost/carepost/internal/fault"
)

func TestFault(t *testing.T) {
	cause := errors.New("secret cause")
	base := fault.Wrap(fault.Invalid, cause, "unknown unit %q", "m").At("line %d", 3).Hint("use %s", "kg")
	wrapped := fmt.Errorf("import imp_1: %w", base)
	for _, c := range []struct {
		name string
		err  error
		code fault.Code
		text string
	}{
		{"nil has no code", nil, "", ""},
		{"a fault keeps its code and words through wrapping", wrapped, fault.Invalid, `line 3: unknown unit "m"; use kg`},
		{"any other error is internal and shows nothing of itself", cause, fault.Internal, "internal error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := fault.CodeOf(c.err); got != c.code {
				t.Errorf("code %q, want %q", got, c.code)
			}
			if c.err == nil {
				return
			}
			if got := fault.Text(c.err); got != c.text {
				t.Errorf("text %q, want %q", got, c.text)
			}
		})
	}
	if !errors.Is(wrapped, cause) {
		t.Error("the cause is lost")
	}
}
