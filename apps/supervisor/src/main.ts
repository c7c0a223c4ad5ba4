#!/usr/bin/env node
import { keepHangUps } from "@shardcast/process/early-signals";
import { useCompileCache } from "./compile-cache.ts";
import { nodeVersionProblem } from "./node-version.ts";

const problem = nodeVersionProblem(process.versions.node);
if (problem !== null) {
	process.stderr.write(`shardcast: ${problem}\n`);
	process.exit(2);
}

// The other commands end with their terminal.
if (["multi", "single", "edge", "gateway"].includes(process.argv[2])) keepHangUps();
useCompileCache();
// Imported only now, since the imports may fail on an older Node, and what was imported earlier is not in the cache.
const { reportError, runCommandLine } = await import("@shardcast/config");
const { surviveClosedOutput } = await import("@shardcast/process");
surviveClosedOutput();
const { commandLine } = await import("./cli.ts");
const outcome = await runCommandLine(commandLine, process.argv.slice(2), process.env).catch((error: unknown) =>
	reportError("shardcast", error),
);
if (outcome !== "serving") process.exit(outcome);
