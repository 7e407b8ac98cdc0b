// Package pickup owns messages that wait here for their recipient: the sealed content, the opaque link, the notice that says no more
// than that something waits, and the rule that nothing dies unread: the recipient is reminded, then the sender is told.
//
// It never knows how the recipient proves who they are, nor how a notice is sent: its page and its jobs belong to upper floors. A notice
// holds no health information and no name but the organisation's public one.
//
// It follows 45 CFR 164.312(a)(1), (d) and (e)(1). A link is looked at without effect (Look); only Open, which a person asks for by a
// button, marks a message as read, because scanners follow links. Read pickup.go first, then notice.go.
package pickup
