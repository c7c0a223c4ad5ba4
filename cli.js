#!/usr/bin/env node
import process from "node:process";
import { notBuilt } from "./built.js";

const problem = notBuilt("@shardcast/supervisor");
if (problem !== null) {
	process.stderr.write(`shardcast: ${problem}\n`);
	process.exit(2);
}
await import("@shardcast/supervisor");
