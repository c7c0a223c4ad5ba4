export * from "@shardcast/server/library";
