-- Nodes that share this database (PostgreSQL only; on SQLite there is one, and no row). Times are of PostgreSQL's clock.
create table node (
	organisation_id {{int}} not null,
	id              {{blob}} not null,
	started_at      {{int}} not null,
	seen_at         {{int}} not null, -- refreshed every five seconds; older than fifteen: the node is not live
	primary key (organisation_id, id)
){{strict}};

-- How far each node has come in what all must have taken in before it may go: a follower's last change, a destroyed epoch.
create table node_position (
	organisation_id {{int}} not null,
	node            {{blob}} not null,
	what            text not null,
	position        {{int}} not null,
	primary key (organisation_id, what, node)
){{strict}};

-- Who leads a job that one node does for all. fence rises with every change of leader; a leader's writes look at it.
create table leader (
	organisation_id {{int}} not null,
	name            text not null,
	fence           {{int}} not null,
	node            {{blob}} not null,
	since           {{int}} not null,
	primary key (organisation_id, name)
){{strict}};
