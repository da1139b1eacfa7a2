# helps
