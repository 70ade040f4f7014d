package main

const lineEnd = "\r\n"
