// How `make dashboard` builds the pages: into dashboard/build, from which build.py makes services/door/static.

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { runbook } from "./runbook.ts";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  plugins: [svelte({ configFile: false, compilerOptions: { runes: true } }), runbook()],
  resolve: {
    // The client's own sources: what is built here needs no second build before it.
    alias: { "@celeriac/client": here("../clients/typescript/src") },
    // Packages come from this folder's lock file, also where the client's sources import them.
    dedupe: ["@bufbuild/protobuf", "@connectrpc/connect", "@connectrpc/connect-web"],
  },
  build: {
    outDir: here("build"),
    emptyOutDir: true,
    // The door's policy forbids styles and scripts within a page, and data: for anything but pictures.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rollupOptions: {
      input: { index: here("index.html"), enter: here("enter.html") },
      output: {
        entryFileNames: "assets/[name]-[hash].js",
        chunkFileNames: "assets/[name]-[hash].js",
        assetFileNames: "assets/[name]-[hash][extname]",
      },
    },
  },
});
