export * from "@shardcast/client";
