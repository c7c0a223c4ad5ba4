import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "../network/ports.ts";
import { endChild } from "../processes/end-child.ts";
import { selfSignedStore } from "./certificate.ts";
import { classArchiveFlags } from "./class-archive.ts";
import { KafkaUnavailable, kafkaJars, requireJava } from "./jars.ts";
import { ownedPrefix, removeLeftovers } from "./leftovers.ts";
import { type BrokerPorts, scramCredentials, serverProperties } from "./properties.ts";
import { formatStorage } from "./storage.ts";

export interface BrokerOptions {
	/** Adds a SASL listener (PLAIN and SCRAM; user alice) and a TLS listener. */
	readonly secure?: boolean;
	/** The port to listen on; a free one when left out. */
	readonly port?: number;
	/** Further lines of `server.properties`. */
	readonly properties?: Record<string, string>;
	/** Leaves the broker running when this process ends (`npm run kafka:up`). */
	readonly detached?: boolean;
	/** For benchmarks: compiles what runs often for speed, which a broker of some seconds has nothing of. */
	readonly lasting?: boolean;
}

const startedLine = "Kafka Server started";
const setpriv = "/usr/bin/setpriv";
const startTimeoutMs = 60_000;
const stopTimeoutMs = 15_000;
/** With what it writes down of its classes. */
const dumpTimeoutMs = 60_000;

/**
 * One Apache Kafka node (KRaft, broker and controller in one process) on loopback, with a fresh log directory.
 * It keeps its ports and its log over `kill` and `start`, so a client meets the same broker again.
 */
export class KafkaBroker {
	readonly brokers: string;
	readonly ports: BrokerPorts;
	readonly directory: string;
	/** The TLS listener's certificate, for clients that trust it. */
	readonly caPath: string | null;
	readonly #jars: string;
	readonly #jvmFlags: readonly string[];
	readonly #detached: boolean;
	#child: ChildProcess | null = null;

	private constructor(
		jars: string,
		jvmFlags: readonly string[],
		directory: string,
		ports: BrokerPorts,
		caPath: string | null,
		detached: boolean,
	) {
		this.#jars = jars;
		this.#jvmFlags = jvmFlags;
		this.#detached = detached;
		this.directory = directory;
		this.ports = ports;
		this.caPath = caPath;
		this.brokers = `127.0.0.1:${ports.plain}`;
	}

	/** @throws KafkaUnavailable without Java 17 or the jars. */
	static async create(options: BrokerOptions = {}): Promise<KafkaBroker> {
		const java = await requireJava();
		const jars = await kafkaJars();
		if (options.lasting === true) return KafkaBroker.#create(jars, [], options);
		const flags = await classArchiveFlags(jars, java, async (dumping) => {
			const broker = await KafkaBroker.#create(jars, dumping, {});
			try {
				await broker.start();
				await broker.stop(dumpTimeoutMs);
			} finally {
				await broker.remove();
			}
		});
		return KafkaBroker.#create(jars, flags, options);
	}

	static async #create(jars: string, jvmFlags: readonly string[], options: BrokerOptions): Promise<KafkaBroker> {
		removeLeftovers(tmpdir());
		const directory = mkdtempSync(join(tmpdir(), ownedPrefix()));
		try {
			mkdirSync(join(directory, "log"));
			const free = await freePorts(4);
			const secure = options.secure === true;
			const ports: BrokerPorts = {
				plain: options.port ?? free,
				controller: free + 1,
				...(secure ? { sasl: free + 2, ssl: free + 3 } : {}),
			};
			const store = secure ? await selfSignedStore(directory) : null;
			const path = join(directory, "server.properties");
			writeFileSync(path, serverProperties(directory, ports, store, options.properties ?? {}));
			// The tool is not what an archive would be made of.
			const toolFlags = jvmFlags.filter((flag) => !flag.includes("ArchiveClassesAtExit"));
			await formatStorage({
				...{ jars, jvmFlags: toolFlags, propertiesPath: path },
				...{ directory: join(directory, "log"), scram: secure ? scramCredentials : [] },
			});
			return new KafkaBroker(jars, jvmFlags, directory, ports, store?.caPath ?? null, options.detached === true);
		} catch (error) {
			rmSync(directory, { recursive: true, force: true });
			throw error;
		}
	}

	/** A running broker: `create` and `start`. */
	static async run(options: BrokerOptions = {}): Promise<KafkaBroker> {
		const broker = await KafkaBroker.create(options);
		try {
			await broker.start();
			return broker;
		} catch (error) {
			await broker.remove();
			throw error;
		}
	}

	get pid(): number | undefined {
		return this.#child?.pid;
	}

	get #outputPath(): string {
		return join(this.directory, "broker.log");
	}

	/** Resolves once the broker takes requests; rejects with the end of its log when it ends or takes longer than a minute. */
	async start(): Promise<void> {
		if (this.#child !== null) throw new Error("the broker is already running");
		const output = openSync(this.#outputPath, "w");
		// A broker for tests goes down with the test process, however that ends.
		const leash = this.#detached || !existsSync(setpriv) ? [] : [setpriv, "--pdeathsig", "KILL"];
		const [command, ...before] = [...leash, "java"];
		const child = spawn(
			command!,
			[
				...before,
				"-Xmx512m",
				"-Xms128m",
				"-XX:+UseSerialGC",
				...this.#jvmFlags,
				"-cp",
				join(this.#jars, "*"),
				"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
				"-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
				"kafka.Kafka",
				join(this.directory, "server.properties"),
			],
			{ stdio: ["ignore", output, output], detached: this.#detached },
		);
		closeSync(output);
		this.#child = child;
		const ended = new Promise<never>((_, reject) => {
			child.once("error", (error) => reject(new KafkaUnavailable(`java cannot be started (${error.message})`, "Install Java 17")));
			child.once("exit", (status, signal) =>
				reject(new Error(`the broker ended at start (${status ?? signal}):\n${readFileSync(this.#outputPath, "utf8").slice(-4000)}`)),
			);
		});
		try {
			await Promise.race([this.#untilStarted(), ended]);
		} catch (error) {
			await this.kill();
			throw error;
		}
		ended.catch(() => {});
		if (this.#detached) child.unref();
	}

	async #untilStarted(): Promise<void> {
		const deadline = Date.now() + startTimeoutMs;
		while (!readFileSync(this.#outputPath, "utf8").includes(startedLine)) {
			if (Date.now() > deadline) throw new Error(`the broker did not start in ${startTimeoutMs} ms; see ${this.#outputPath}`);
			await new Promise((resolve) => setTimeout(resolve, 50));
		}
	}

	/** An orderly stop: the log stays for the next `start`. Killed when it takes too long. */
	async stop(timeoutMs = stopTimeoutMs): Promise<void> {
		await this.#end("SIGTERM", timeoutMs);
	}

	/** SIGKILL, as a crash would. The log stays for the next `start`. */
	async kill(): Promise<void> {
		await this.#end("SIGKILL", stopTimeoutMs);
	}

	async #end(signal: NodeJS.Signals, timeoutMs: number): Promise<void> {
		const child = this.#child;
		this.#child = null;
		if (child === null) return;
		const force = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
		await endChild(child, signal);
		clearTimeout(force);
	}

	/** Ends the broker and removes all that it wrote. */
	async remove(): Promise<void> {
		await this.kill();
		rmSync(this.directory, { recursive: true, force: true });
	}
}
