import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Cluster, describeExit, freePorts, ManagedProcess } from "@shardcast/testkit";

const program = join(import.meta.dirname, "../../../../apps/supervisor/dist/main.js");
const besideThis = (name: string): string => pathToFileURL(join(import.meta.dirname, name)).href;

/** The namespace of the channels that are counted. */
const configuration = (historySize: number): string => `client: { insecure: true }
channel:
  namespaces:
    - { name: kept, history_size: ${historySize}, history_ttl: 30m, force_recovery: true }
`;

export interface SubjectOptions {
	readonly shards: number;
	readonly flags: readonly string[];
	/** Folder of a memory file system for the cluster's files; null = /dev/shm. */
	readonly memory: string | null;
	/** Publications that each channel keeps: those of the time that a client is away. */
	readonly historySize: number;
	/** Whether the clocks of its processes can be moved. */
	readonly movesClock: boolean;
	/** Whether its processes collect all garbage every few seconds, so that what they take is what they use. */
	readonly collectsGarbage: boolean;
}

/** The cluster under test. It can be started again on its ports, as a service manager would. */
export class Subject {
	readonly #options: SubjectOptions;
	readonly #folder: string;
	readonly #basePort: number;
	#cluster!: Cluster;

	private constructor(options: SubjectOptions, folder: string, basePort: number) {
		this.#options = options;
		this.#folder = folder;
		this.#basePort = basePort;
	}

	static async start(options: SubjectOptions): Promise<Subject> {
		const folder = mkdtempSync(join(tmpdir(), "shardcast-faults-"));
		const subject = new Subject(options, folder, await freePorts(options.shards + 1));
		writeFileSync(join(folder, "shardcast.yaml"), configuration(options.historySize));
		writeFileSync(subject.#clockFile, "0");
		try {
			await subject.startAgain();
		} catch (error) {
			rmSync(folder, { recursive: true });
			throw error;
		}
		return subject;
	}

	/** Of the process that was started last. */
	get cluster(): Cluster {
		return this.#cluster;
	}

	get shards(): number {
		return this.#options.shards;
	}

	get memory(): string | null {
		return this.#options.memory;
	}

	get movesClock(): boolean {
		return this.#options.movesClock;
	}

	moveClock(ms: number): void {
		writeFileSync(this.#clockFile, String(ms));
	}

	/** After the supervisor is gone. */
	async startAgain(): Promise<void> {
		const { shards, flags, memory, movesClock, collectsGarbage } = this.#options;
		const balancerPort = this.#basePort + shards;
		const all = [
			...["--config", join(this.#folder, "shardcast.yaml"), "--shards", String(shards)],
			...["--base-port", String(this.#basePort), "--lb-addr", `127.0.0.1:${balancerPort}`],
			// Far more deaths than a cluster has on its own.
			...["--crash-limit", "1000", "--restart-backoff-max", "1s"],
			// Silent clients are found within the time of a fault.
			...["--ping-interval", "5s", "--pong-timeout", "2s", "--idle-timeout", "8s", "--head-timeout", "2s"],
			...["--recovery-max-publications", "10000"],
			...(memory === null ? [] : ["--cluster-directory", memory]),
			...flags,
		];
		const modules = [...(movesClock ? ["clock-skew.js"] : []), ...(collectsGarbage ? ["collect-garbage.js"] : [])];
		const env = {
			...(modules.length === 0 ? {} : { NODE_OPTIONS: modules.map((name) => `--import=${besideThis(name)}`).join(" ") }),
			...(movesClock ? { FAULTS_CLOCK_FILE: this.#clockFile } : {}),
		};
		const process = await ManagedProcess.start(program, ["multi", ...all], { env, ownGroup: true });
		this.#cluster = new Cluster(process, this.#basePort, balancerPort, { flags: all });
		try {
			await this.#cluster.ready(60_000);
		} catch (error) {
			process.signal("SIGKILL");
			await process.exited;
			throw error;
		}
	}

	/** @returns a line for each thing that is not as it should be after the end. */
	async stop(): Promise<string[]> {
		try {
			const ended = this.#cluster.process.status();
			if (ended !== null) return [`the cluster had ended by itself with ${describeExit(ended)}`];
			const status = await this.#cluster.stop(30_000);
			return status.code === 0 ? [] : [`the cluster ended with ${describeExit(status)}`];
		} catch (error) {
			return [(error as Error).message];
		} finally {
			rmSync(this.#folder, { recursive: true, force: true });
		}
	}

	get #clockFile(): string {
		return join(this.#folder, "clock");
	}
}
