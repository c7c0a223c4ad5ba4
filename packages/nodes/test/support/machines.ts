import { randomUUID } from "node:crypto";
import { parseRedisAddress } from "@shardcast/config";
import type { NodeState } from "@shardcast/control";
import { Redis } from "@shardcast/redis";
import { silentLog } from "@shardcast/telemetry";
import { waitFor } from "@shardcast/testkit";
import { Membership } from "../../src/membership.ts";
import { nodeKeys } from "../../src/node-keys.ts";
import type { NodeProcess } from "../../src/node-record.ts";

const heartbeatMs = 150;
/** Longer than a busy machine keeps a process waiting: whoever is to expire in a test has a shorter one. */
const longTimeoutMs = 20_000;
export const waitMs = 10_000;

export interface MachineOptions {
	readonly instance?: string;
	readonly process?: NodeProcess;
	readonly timeoutMs?: number;
}

/** A machine of a test: only its membership, in this process. */
export class Machine {
	readonly id: string;
	readonly redis: Redis;
	readonly membership: Membership;
	/** "member", "+n2", "-n2 timeout", "~n2 draining": in the order in which it was told. */
	readonly told: string[] = [];
	/** "+n1", "~n1 draining", "-n2 timeout": what this machine reports for all. */
	readonly reported: string[] = [];
	status: "starting" | "serving" | "draining" = "serving";
	connections = 1;

	constructor(url: string, id: string, { instance = randomUUID(), process = elsewhere(), timeoutMs = longTimeoutMs }: MachineOptions = {}) {
		this.id = id;
		const address = parseRedisAddress(url);
		this.redis = new Redis(
			{ address, tls: null, connectTimeoutMs: 1000, answerTimeoutMs: 2000, clientName: id, waitingMax: 10 },
			silentLog(),
		).open();
		this.membership = new Membership({
			redis: this.redis,
			keys: nodeKeys("ws", address.isCluster),
			own: { id, instance, process },
			heartbeatMs,
			timeoutMs,
			describe: () => ({
				facts: {
					address: `${id}:1`,
					url: "",
					region: "",
					version: "1",
					status: this.status,
					health: "healthy",
					shards: 1,
					maxConnections: 10,
					weight: 1,
				},
				load: {
					connections: this.connections,
					messagesPerSecond: 2,
					bytesPerSecond: 3,
					deliveriesPerSecond: 4,
					cpu: 0.5,
					memory: 0.6,
					memoryBytes: 6,
					loopLagMs: 7,
				},
			}),
			onState: (state) => this.told.push(state),
			onChanges: ({ joined, left, updated }) => {
				this.told.push(...left.map(({ node, reason }) => `-${node.id} ${reason}`));
				this.told.push(...joined.map(({ id }) => `+${id}`), ...updated.map(({ id, status }) => `~${id} ${status}`));
			},
			onReport: (report) => {
				if ("event" in report) this.reported.push(report.type);
				else if (report.type === "left") this.reported.push(`-${report.id} ${report.reason}`);
				else this.reported.push(report.type === "joined" ? `+${report.node.id}` : `~${report.node.id} ${report.node.status}`);
			},
		});
	}

	async join(): Promise<this> {
		await this.redis.ready(waitMs).catch(() => undefined);
		await this.membership.claim();
		this.membership.start();
		return this;
	}

	/** Without a word, as if the process had been killed. */
	vanish(): void {
		this.redis.close();
	}

	async leave(): Promise<void> {
		await this.membership.leave();
		this.redis.close();
	}

	async isIn(state: NodeState): Promise<void> {
		await waitFor(() => this.membership.state === state, { deadlineMs: waitMs, what: `the state ${state} of ${this.id}` });
	}

	/** Only of other machines. */
	get toldOfOthers(): readonly string[] {
		return this.told.filter((line) => /^[-+~]/.test(line));
	}

	/** What it was told, once the last line is there. */
	async hears(line: string): Promise<void> {
		await waitFor(() => this.told.includes(line), { deadlineMs: waitMs, what: `"${line}" among what ${this.id} was told: ${this.told}` });
	}
}

/** A process of a machine that no other one is on. */
function elsewhere(): NodeProcess {
	return { boot: randomUUID(), pidNamespace: "pid:[1]", pid: 1, startTicks: 1 };
}
