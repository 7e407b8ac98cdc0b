package smtpclient

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Stage is the phase of the conversation that a reply or a failure belongs to.
type Stage string

// The stages, in their order.
const (
	StageConnect  Stage = "connect"
	StageGreeting Stage = "greeting"
	StageHello    Stage = "hello"
	StageStartTLS Stage = "starttls"
	StageAuth     Stage = "auth"
	StageMail     Stage = "mail"
	StageRcpt     Stage = "rcpt"
	StageData     Stage = "data" // the DATA command and the body; the final dot was not sent
	StageDot      Stage = "dot"
)

// Bounds of what a receiver may say. RFC 5321 4.5.3.1.5 allows 512 bytes a line; real receivers exceed it.
const (
	maxReplyLine  = 4 << 10
	maxReplyBytes = 32 << 10
	maxReplyLines = 128
)

// Reply is one answer of the receiver. Text often quotes the recipient's address: it is never logged and String leaves it out.
type Reply struct {
	Stage    Stage
	Code     int    // 250; 0 when nothing was answered
	Enhanced string // "5.1.1", or empty (RFC 2034)
	Text     string // the lines joined by a space, codes removed
}

// String gives stage and codes only.
func (r Reply) String() string {
	s := string(r.Stage)
	if r.Code != 0 {
		s += " " + strconv.Itoa(r.Code)
	}
	if r.Enhanced != "" {
		s += " " + r.Enhanced
	}
	return s
}

// Format keeps the text out of every verb.
func (r Reply) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

func (r Reply) positive() bool { return r.Code >= 200 && r.Code < 300 }

var (
	errReplySyntax = errors.New("smtpclient: the receiver's answer is not an SMTP reply")
	errReplySize   = errors.New("smtpclient: the receiver's answer is too long")
)

// readReply reads one reply of one or more lines. It takes a bare LF as the end of a line, as every client does.
func readReply(r *bufio.Reader, stage Stage) (Reply, error) {
	rep, _, err := readLines(r, stage)
	return rep, err
}

func readLines(r *bufio.Reader, stage Stage) (Reply, []string, error) {
	var lines []string
	total, code := 0, 0
	for {
		line, err := readLine(r)
		if err != nil {
			return Reply{Stage: stage}, nil, err
		}
		c, text, last, ok := splitLine(line)
		if !ok || code != 0 && c != code {
			return Reply{Stage: stage}, nil, errReplySyntax
		}
		code = c
		total += len(line)
		if total > maxReplyBytes || len(lines) == maxReplyLines {
			return Reply{Stage: stage}, nil, errReplySize
		}
		lines = append(lines, text)
		if last {
			return join(stage, code, lines), lines, nil
		}
	}
}

func readLine(r *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxReplyLine {
			return "", errReplySize
		}
		if err == nil {
			return strings.TrimRight(string(line), "\r\n"), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
	}
}

func splitLine(line string) (code int, text string, last, ok bool) {
	if len(line) < 3 {
		return 0, "", false, false
	}
	for i := range 3 {
		if line[i] < '0' || line[i] > '9' {
			return 0, "", false, false
		}
		code = code*10 + int(line[i]-'0')
	}
	if code < 200 || code > 599 {
		return 0, "", false, false
	}
	if len(line) == 3 {
		return code, "", true, true // RFC 5321 4.2: a client should take a code without text
	}
	if line[3] != ' ' && line[3] != '-' {
		return 0, "", false, false
	}
	return code, line[4:], line[3] == ' ', true
}

func join(stage Stage, code int, lines []string) Reply {
	rep := Reply{Stage: stage, Code: code}
	rest := make([]string, 0, len(lines))
	for _, l := range lines {
		e, text := cutEnhanced(l)
		if e != "" && e[0] == byte('0'+code/100) {
			if rep.Enhanced == "" {
				rep.Enhanced = e
			}
			l = text
		}
		if l = strings.ToValidUTF8(strings.TrimSpace(l), "?"); l != "" {
			rest = append(rest, l)
		}
	}
	rep.Text = strings.Map(printable, strings.Join(rest, " "))
	return rep
}

func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return ' '
	}
	return r
}

// cutEnhanced splits "5.1.1 text"; RFC 2034 section 4, with the numbers bounded as in RFC 3463 section 2.
func cutEnhanced(s string) (enhanced, rest string) {
	i := 0
	for part := range 3 {
		start := i
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		n := i - start
		if n == 0 || n > 3 || part == 0 && (n != 1 || strings.IndexByte("245", s[start]) < 0) {
			return "", s
		}
		if part < 2 {
			if i == len(s) || s[i] != '.' {
				return "", s
			}
			i++
		}
	}
	if i < len(s) && s[i] != ' ' && s[i] != '\t' {
		return "", s
	}
	return s[:i], strings.TrimSpace(s[i:])
}
