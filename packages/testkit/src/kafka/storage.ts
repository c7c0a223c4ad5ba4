import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mustRun } from "./jars.ts";

/** Kafka's ids are 16 bytes in base64; hexadecimal digits are such, and never look like a flag to its tools. */
const newId = () => randomBytes(11).toString("hex");

interface Storage {
	readonly jars: string;
	/** Of the JVM that runs the broker's tool. */
	readonly jvmFlags: readonly string[];
	/** `server.properties` of node 1. */
	readonly propertiesPath: string;
	/** The log directory that these name, which is empty. */
	readonly directory: string;
	/** Users of SCRAM, as the tool takes them. */
	readonly scram: readonly string[];
}

/**
 * Formats a log directory. The broker's own tool costs a JVM for a second or more, and writes two files: which features the cluster has, the same for
 * each cluster of one version without users, and its ids. So it runs once on a machine, and what it writes of the features is kept beside the jars.
 * Several processes that do so at once do no harm: the last rename wins.
 */
export async function formatStorage({ jars, jvmFlags, propertiesPath, directory, scram }: Storage): Promise<void> {
	const kept = `${jars}.checkpoint`;
	const checkpoint = join(directory, "bootstrap.checkpoint");
	if (scram.length === 0 && existsSync(kept)) {
		copyFileSync(kept, checkpoint);
		const lines = ["version=1", "node.id=1", `cluster.id=${newId()}`, `directory.id=${newId()}`];
		writeFileSync(join(directory, "meta.properties"), `${lines.join("\n")}\n`);
		return;
	}
	const args = ["-cp", join(jars, "*"), "-XX:+UseSerialGC", ...jvmFlags, "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"];
	const users = scram.flatMap((user) => ["--add-scram", user]);
	await mustRun(
		"java",
		[...args, "kafka.tools.StorageTool", "format", "-t", newId(), "-c", propertiesPath, ...users],
		60_000,
		"Look at what the storage tool says above",
	);
	if (scram.length > 0) return;
	// A number of a process is not enough: containers that share the cache have the same ones.
	const half = `${kept}.${newId()}`;
	try {
		copyFileSync(checkpoint, half);
		renameSync(half, kept);
	} catch (error) {
		rmSync(half, { force: true });
		process.stderr.write(`brokers for tests start slowly: ${kept} cannot be written (${(error as Error).message})\n`);
	}
}
