import { type Config, connectionsPerShard } from "@shardcast/config";
import { type Finding, ok, type Subject, warning } from "../finding.ts";
import { kernelNumbers, type Machine, readText } from "../machine.ts";

/** What the balancer asks for. */
const backlog = 4096;
/** Below it, clients survive only short stalls. */
const sendBufferMin = 262_144;
/** Of the ports for connections that a process opens, from its address to one other. */
const usualPorts = 28_232;

/** Sets a parameter now, and after the next start of the machine. */
const set = (name: string, value: string): string =>
	`sysctl -w ${name}="${value}", and the line "${name} = ${value}" in /etc/sysctl.d/90-shardcast.conf; then restart shardcast (in a container: docker run --sysctl, or securityContext.sysctls)`;

/** Kernel parameters, as docs/how-to/tuning.md recommends them. Those that a container does not show are left out. */
export function kernelFindings(machine: Machine, config: Config, mode: "handoff" | "proxy"): Finding[] {
	return [
		queue(machine),
		cookies(machine),
		overflows(machine),
		tracked(machine, config),
		sendBuffers(machine),
		ports(machine, mode, config),
		files(machine, config),
	].flatMap((finding) => finding ?? []);
}

function queue(machine: Machine): Finding | null {
	const subject: Subject = {
		id: "somaxconn",
		area: "kernel",
		why: "so many connections may wait to be accepted; when thousands of clients connect at once, more are dropped and come seconds later",
	};
	const [value] = kernelNumbers(machine, "net.core.somaxconn") ?? [];
	if (value === undefined) return null;
	const found = `net.core.somaxconn is ${value}`;
	return value >= backlog
		? ok(subject, found)
		: warning(subject, `${found}; the balancer asks for ${backlog}`, set("net.core.somaxconn", String(backlog)));
}

function cookies(machine: Machine): Finding | null {
	const subject: Subject = {
		id: "tcp_syncookies",
		area: "kernel",
		why: "with cookies the kernel answers clients even when its queue of half-open connections is full; without, net.ipv4.tcp_max_syn_backlog bounds a storm of connects",
	};
	const [value] = kernelNumbers(machine, "net.ipv4.tcp_syncookies") ?? [];
	if (value === undefined) return null;
	const [size] = kernelNumbers(machine, "net.ipv4.tcp_max_syn_backlog") ?? [];
	if (value > 0)
		return ok(subject, `net.ipv4.tcp_syncookies is ${value}, so net.ipv4.tcp_max_syn_backlog (${size ?? "not shown"}) has no effect`);
	const found = `net.ipv4.tcp_syncookies is 0, net.ipv4.tcp_max_syn_backlog is ${size ?? "not shown"}`;
	return warning(subject, found, set("net.ipv4.tcp_syncookies", "1"));
}

/** The kernel counts since the machine, or the container's network, was started. */
function overflows(machine: Machine): Finding | null {
	const subject: Subject = {
		id: "accept-overflows",
		area: "kernel",
		why: "each is a client whose connection was dropped because a queue was full, of any program here",
	};
	const counts = extendedTcp(readText(machine, "proc/net/netstat"));
	if (counts === null) return null;
	const wanted = ["ListenOverflows", "TCPReqQFullDrop"];
	const over = wanted.filter((name) => (counts.get(name) ?? 0) > 0);
	const found = wanted.map((name) => `${name} ${counts.get(name) ?? 0}`).join(", ");
	if (over.length === 0) return ok(subject, found);
	return warning(
		subject,
		found,
		"raise net.core.somaxconn to 4096; if it is that already, give the balancer a CPU (--cpus), and watch nstat -az TcpExtListenOverflows TcpExtTCPReqQFullDrop",
	);
}

function tracked(machine: Machine, { maxConnections }: Config): Finding | null {
	const subject: Subject = {
		id: "conntrack",
		area: "kernel",
		why: "a firewall that tracks connections drops those that do not fit into its table, without an answer to the client",
	};
	const [max] = kernelNumbers(machine, "net.netfilter.nf_conntrack_max") ?? [];
	if (max === undefined) return ok(subject, "connections are not tracked here");
	const [count] = kernelNumbers(machine, "net.netfilter.nf_conntrack_count") ?? [];
	const found = `net.netfilter.nf_conntrack_max is ${max}${count === undefined ? "" : `, ${count} in use`}`;
	if (max >= 2 * maxConnections) return ok(subject, found);
	return warning(
		subject,
		`${found}; for ${maxConnections} connections it should be ${2 * maxConnections}`,
		`${set("net.netfilter.nf_conntrack_max", String(2 * maxConnections))}; or exempt the port from tracking (-j CT --notrack)`,
	);
}

function sendBuffers(machine: Machine): Finding | null {
	const subject: Subject = {
		id: "tcp_wmem",
		area: "kernel",
		why: "the kernel buffers so much for a client that reads slowly before --max-buffered counts",
	};
	const [least, usual, most] = kernelNumbers(machine, "net.ipv4.tcp_wmem") ?? [];
	if (most === undefined) return null;
	const found = `net.ipv4.tcp_wmem is ${least} ${usual} ${most}`;
	if (most >= sendBufferMin) return ok(subject, found);
	return warning(
		subject,
		`${found}; with less than ${sendBufferMin} clients survive only short stalls`,
		set("net.ipv4.tcp_wmem", `${least} ${usual} ${sendBufferMin}`),
	);
}

function ports(machine: Machine, mode: "handoff" | "proxy", config: Config): Finding | null {
	const subject: Subject = {
		id: "ip_local_port_range",
		area: "kernel",
		why: "a proxy needs a port of its address for each connection that it opens to a shard; with handoff only load tests and proxies in front need them",
	};
	const [first, last] = kernelNumbers(machine, "net.ipv4.ip_local_port_range") ?? [];
	if (first === undefined || last === undefined) return null;
	const found = `net.ipv4.ip_local_port_range is ${first} ${last}`;
	const perShard = connectionsPerShard(config, Math.max(1, config.shards));
	const needed = mode === "proxy" ? perShard : 0;
	if (last - first + 1 >= Math.min(needed, usualPorts * 2)) return ok(subject, found);
	return warning(
		subject,
		`${found}, ${last - first + 1} ports for ${perShard} connections to each shard`,
		set("net.ipv4.ip_local_port_range", "1024 65535"),
	);
}

function files(machine: Machine, { maxConnections }: Config): Finding | null {
	const subject: Subject = {
		id: "file-max",
		area: "kernel",
		why: "all processes of the machine together may open so many files and sockets",
	};
	const [open, , max] = kernelNumbers(machine, "fs.file-nr") ?? [];
	if (open === undefined || max === undefined) return null;
	const found = `fs.file-max is ${max}, ${open} are open`;
	if (max - open >= maxConnections + 10_000) return ok(subject, found);
	return warning(subject, `${found}; ${maxConnections} connections may not fit`, set("fs.file-max", String(2 * (maxConnections + 10_000))));
}

/** The table TcpExt of /proc/net/netstat: a line with names, and one with values. */
function extendedTcp(text: string | null): ReadonlyMap<string, number> | null {
	const lines = (text ?? "").split("\n").filter((line) => line.startsWith("TcpExt:"));
	if (lines.length < 2) return null;
	const [names, values] = lines.map((line) => line.split(/\s+/).slice(1));
	return new Map(names.map((name, at) => [name, Number(values[at])]));
}
