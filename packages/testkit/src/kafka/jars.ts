import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "../cache-folder.ts";

const pom = fileURLToPath(new URL("../../../../deploy/kafka/pom.xml", import.meta.url));

/** The broker's version, as `deploy/kafka/pom.xml` pins it. */
export const kafkaVersion = /<kafka\.version>([^<]+)</.exec(readFileSync(pom, "utf8"))![1]!;

/** Why there can be no broker on this machine. `fix` is what to do about it. */
export class KafkaUnavailable extends Error {
	override readonly name = "KafkaUnavailable";
	readonly fix: string;
	constructor(message: string, fix: string) {
		super(`${message}. ${fix}`);
		this.fix = fix;
	}
}

/** 43 MB. */
const jarsFolder = (): string => join(cacheFolder(), `kafka-${kafkaVersion}`);

export function runTool(command: string, args: readonly string[], timeoutMs: number): Promise<{ status: number | null; output: string }> {
	return new Promise((resolve, reject) => {
		const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
		const deadline = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
		let output = "";
		const keep = (chunk: Buffer) => {
			output = (output + chunk.toString()).slice(-4000);
		};
		child.stdout.on("data", keep);
		child.stderr.on("data", keep);
		child.on("error", (error) => {
			clearTimeout(deadline);
			reject(error);
		});
		child.on("close", (status) => {
			clearTimeout(deadline);
			resolve({ status, output });
		});
	});
}

export async function mustRun(command: string, args: readonly string[], timeoutMs: number, fix: string): Promise<string> {
	const { status, output } = await runTool(command, args, timeoutMs).catch((error: NodeJS.ErrnoException) => {
		throw new KafkaUnavailable(`${command} cannot be started (${error.code ?? error.message})`, fix);
	});
	if (status !== 0) throw new KafkaUnavailable(`${command} ended with status ${status}:\n${output}`, fix);
	return output;
}

/**
 * The directory with the broker's jars; fetched by Maven the first time. Two processes that fetch at once do no harm:
 * each fills a separate directory and the first rename wins.
 */
export async function kafkaJars(): Promise<string> {
	const directory = jarsFolder();
	if (existsSync(directory) && readdirSync(directory).some((name) => name.startsWith("kafka_"))) return directory;
	const half = `${directory}.${process.pid}`;
	mkdirSync(half, { recursive: true });
	try {
		await mustRun(
			"mvn",
			["-q", "-B", "-f", pom, "dependency:copy-dependencies", `-DoutputDirectory=${half}`],
			300_000,
			"Install Maven 3 with access to a Maven repository, or set KAFKA_TEST_BROKERS to a running broker",
		);
		try {
			renameSync(half, directory);
		} catch (error) {
			if (!existsSync(directory)) throw error;
		}
	} finally {
		rmSync(half, { recursive: true, force: true });
	}
	return directory;
}

/** @returns what Java says of its version. @throws KafkaUnavailable unless Kafka 4 accepts it (17 or newer). */
export function requireJava(): Promise<string> {
	java ??= askJava().catch((error) => {
		// The next to ask tries again.
		java = null;
		throw error;
	});
	return java;
}

/** Asked once in each process, not by each file of tests in it. */
let java: Promise<string> | null = null;

async function askJava(): Promise<string> {
	const fix = "Install Java 17, or set KAFKA_TEST_BROKERS to a running broker";
	const output = await mustRun("java", ["-version"], 20_000, fix);
	const major = Number(/version "(\d+)/.exec(output)?.[1] ?? 0);
	if (major < 17) throw new KafkaUnavailable(`Kafka ${kafkaVersion} needs Java 17, and this is Java ${major}`, fix);
	return output;
}
