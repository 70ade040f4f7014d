// Package config reads the settings of a service from its environment.
package config

import (
	"fmt"
	"strconv"
)

// Config is what every service can be told.
type Config struct {
	Port     int
	DataPath string
}

// Load reads PORT and KO_DATA_PATH through getenv, which is os.Getenv outside tests.
func Load(getenv func(string) string) (Config, error) {
	c := Config{Port: 8080, DataPath: getenv("KO_DATA_PATH")}
	if s := getenv("PORT"); s != "" {
		port, err := strconv.Atoi(s)
		if err != nil || port < 1 || port > 65535 {
			return Config{}, fmt.Errorf("PORT=%q: want a number from 1 to 65535", s)
		}
		c.Port = port
	}
	return c, nil
}
