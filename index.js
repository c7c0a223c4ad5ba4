import { notBuilt } from "./built.js";

const problem = notBuilt("@shardcast/server/library");
if (problem !== null) throw new Error(`shardcast: ${problem}`);

// Not `export *`, which is resolved before anything here runs.
export const { createServer, defaultConfig, logging, RecordKind, RpcError, recovery, reloadableKeys } = await import(
	"@shardcast/server/library"
);
